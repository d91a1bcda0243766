# COCO 2017 with the 80 classes of its objects and the background (118,287 training, 5,000 validation
# images, 81 classes): {train2017,val2017} as unpacked, and `masks` with the masks of both, drawn by
# tools/dataset_converters/coco_objects.py. Images are resized to 0.5 to 2 times their own size and
# cropped to 518x518; a batch is 4 labelled and 4 unlabelled images, as UniMatch V2 has on each of 4
# GPUs. Networks without patches of 14 pixels: sizes.crop_size=(513, 513), as in UniMatch. Lists hold
# stems such as 000000283213: see docs/guide/published_splits.md.
source = dict(type='COCOObjectsDataset', data_root='{{$COCO_ROOT:data/coco}}')
geometry = [
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='Resize', scale_factor=tenth / 10, keep_ratio=True)]
            for tenth in range(5, 21)
        ],
    ),
    dict(type='RandomCrop', crop_size=(518, 518), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
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
        split='splits/1_512/seed0',
        labeled=dict(
            data_prefix=dict(img_path='train2017', seg_map_path='masks'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='CheckSegMap'),
                *geometry,
                dict(type='PackSegInputs'),
            ],
            **source,
        ),
        unlabeled=dict(
            data_prefix=dict(img_path='train2017'),
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
        data_prefix=dict(img_path='val2017', seg_map_path='masks'), pipeline=test_pipeline, **source
    ),
)
test_dataloader = val_dataloader
del source, geometry
