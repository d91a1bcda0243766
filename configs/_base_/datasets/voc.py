# Pascal VOC 2012 with the augmented masks (10,582 training, 1,449 validation images, 21 classes):
# VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,SegmentationClassAug}, see mmseg's voc_aug.py
# converter. Crops of 321x321, a batch is 10 labelled and 10 unlabelled images. Lists:
# tools/dataset_converters/make_split.py, or its `import` for published ones.
_base_ = ['./semi.py']
data_root = '{{$VOC_ROOT:data/VOCdevkit/VOC2012}}'
dataset_type = 'PascalVOCDataset'
crop_size = (321, 321)

geometry = [
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='Resize', scale_factor=tenth / 10, keep_ratio=True)]
            for tenth in range(5, 17)
        ],
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
]
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CheckSegMap'),
    *geometry,
    dict(type='PackSegInputs'),
]
unlabeled_pipeline = [dict(type='LoadImageFromFile'), *geometry, dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=20,
    dataset=dict(
        labeled=dict(
            type=dataset_type,
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
            pipeline=labeled_pipeline,
        ),
        unlabeled=dict(
            type=dataset_type,
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages'),
            pipeline=unlabeled_pipeline,
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
