# ADE20K (20,210 training, 2,000 validation images, 150 classes) as unpacked from
# ADEChallengeData2016.zip: {images,annotations}/{training,validation}. Id 0 of the masks is no class
# (reduce_zero_label). Images are resized to 0.5 to 2 times their own size and cropped to 518x518; a
# batch is 2 labelled and 2 unlabelled images, as UniMatch V2 has on each of 4 GPUs. Networks without
# patches of 14 pixels: sizes.crop_size=(513, 513). Lists hold stems such as ADE_train_00000001: see
# docs/guide/published_splits.md.
source = dict(type='ADE20KDataset', data_root='{{$ADE20K_ROOT:data/ade/ADEChallengeData2016}}')
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
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(labeled=1, unlabeled=1)),
    dataset=dict(
        type='LabeledUnlabeledDataset',
        split='splits/1_8/seed0',
        labeled=dict(
            data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
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
            data_prefix=dict(img_path='images/training'),
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
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline,
        **source,
    ),
)
test_dataloader = val_dataloader
del source, geometry
