# Streets, drawn by tools/dataset_converters/make_streets.py: 12 classes, 400 training and 100
# validation images of 128x192 from eight drives, neither resized nor cropped. A batch is 4 labelled
# and 4 unlabelled images.
source = dict(type='StreetsDataset', data_root='{{$STREETS_ROOT:data/streets}}')
test_pipeline = [
    dict(type='LoadImageFromFile'),
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
                dict(type='RandomFlip', prob=0.5),
                dict(type='PhotoMetricDistortion'),
                dict(type='PackSegInputs'),
            ],
            **source,
        ),
        unlabeled=dict(
            data_prefix=dict(img_path='img_dir/train'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PackSegInputs'),
            ],
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
del source
