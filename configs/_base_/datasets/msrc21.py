# MSRC-21 (Microsoft Research Cambridge, version 2): 394 training and 196 validation photographs of
# about 320x213, 21 classes, 255 is void. Layout below MSRC21_ROOT (default data/msrc21):
# img_dir/{train,val}, ann_dir/{train,val}, meta.json and lists in splits/1_8/seed0.
#
# Images keep their size but for a random scale, crops are 192x192 (other numbers: `sizes` of
# ../default_runtime.py), photographs are upright or wide. A batch is 4 labelled and 4 unlabelled
# images.
classes = (
    *('building', 'grass', 'tree', 'cow', 'sheep', 'sky', 'aeroplane', 'water', 'face', 'car'),
    *('bicycle', 'flower', 'sign', 'bird', 'book', 'chair', 'road', 'cat', 'dog', 'body', 'boat'),
)
source = dict(
    type='FolderSegDataset',
    data_root='{{$MSRC21_ROOT:data/msrc21}}',
    metainfo=dict(classes=classes),
)
geometry = [
    dict(type='RandomResize', scale=(320, 320), ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(192, 192), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 320), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
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
test_dataloader = val_dataloader
del source, geometry, classes
