# Cityscapes (2,975 training, 500 validation images, 19 classes) in mmseg's layout with
# labelTrainIds masks, halved to 512x1024 with crops of 256x512, as in the CTT release; a batch is 2
# labelled and 2 unlabelled images. mIoU is taken at the full 1024x2048 (the release resizes the
# truth to 512x1024). Configs that resize at random set `sizes.ratio_range`. Lists hold stems such as
# aachen/aachen_000000_000019.
source = dict(type='CityscapesDataset', data_root='{{$CITYSCAPES_ROOT:data/cityscapes}}')
geometry = [
    dict(type='RandomResize', scale=(1024, 512), ratio_range=(1.0, 1.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(256, 512), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1024, 512), keep_ratio=True),
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
            data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
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
            data_prefix=dict(img_path='leftImg8bit/train'),
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
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
        **source,
    ),
)
test_dataloader = val_dataloader
del source, geometry
