# Pascal VOC 2012 with the augmented masks (10,582 training, 1,449 validation images, 21 classes):
# VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,SegmentationClassAug}, see mmseg's voc_aug.py
# converter. Crops of 321x321, a batch is 10 labelled and 10 unlabelled images. Lists:
# tools/dataset_converters/make_split.py, or its `import` for published ones.
source = dict(type='PascalVOCDataset', data_root='{{$VOC_ROOT:data/VOCdevkit/VOC2012}}')
geometry = [
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='Resize', scale_factor=tenth / 10, keep_ratio=True)]
            for tenth in range(5, 17)
        ],
    ),
    dict(type='RandomCrop', crop_size=(321, 321), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=20,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(labeled=1, unlabeled=1)),
    dataset=dict(
        type='LabeledUnlabeledDataset',
        split='splits/1_8/seed0',
        labeled=dict(
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
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
            data_prefix=dict(img_path='JPEGImages'),
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
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline,
        **source,
    ),
)
test_dataloader = val_dataloader
del source, geometry
