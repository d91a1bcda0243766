# CamVid, 11 classes, 367 training, 101 validation and 233 test images of 360x480. Layout:
# tools/dataset_converters/camvid.py. Images are resized to about 240x320 and cropped to 192x256
# (other numbers: `sizes` of ../default_runtime.py); a batch is 4 labelled and 4 unlabelled images.
source = dict(type='CamVidDataset', data_root='{{$CAMVID_ROOT:data/camvid}}')
geometry = [
    dict(type='RandomResize', scale=(320, 240), ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(192, 256), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 240), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(labeled=1, unlabeled=1)),
    dataset=dict(
        type='LabeledUnlabeledDataset',
        split='splits/1_8/seed0',
        labeled=dict(
            data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='CheckSegMap'),
                *geometry,
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSegInputs'),
            ],
            **source,
        ),
        unlabeled=dict(
            data_prefix=dict(img_path='img_dir/train'),
            pipeline=[dict(type='LoadImageFromFile'), *geometry, dict(type='PackSegInputs')],
            **source,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
        pipeline=test_pipeline,
        **source,
    ),
)
test_dataloader = dict(
    val_dataloader,
    dataset=dict(
        data_prefix=dict(img_path='img_dir/test', seg_map_path='ann_dir/test'),
        pipeline=test_pipeline,
        **source,
    ),
)
del source, geometry  # nothing follows them any more: a config that sets them would change nothing
