# Cityscapes (2,975 training, 500 validation images, 19 classes) in mmseg's layout with
# labelTrainIds masks, halved to 512x1024 with crops of 256x512, as in the CTT release; a batch is 2
# labelled and 2 unlabelled images. mIoU is taken at the full 1024x2048 (the release resizes the
# truth to 512x1024). Lists hold stems such as aachen/aachen_000000_000019.
_base_ = ['./semi.py']
data_root = '{{$CITYSCAPES_ROOT:data/cityscapes}}'
dataset_type = 'CityscapesDataset'
scale, crop_size = (1024, 512), (256, 512)  # (width, height), (height, width)

geometry = [
    dict(type='Resize', scale=scale, keep_ratio=True),
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
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        labeled=dict(
            type=dataset_type,
            data_root=data_root,
            data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
            pipeline=labeled_pipeline,
        ),
        unlabeled=dict(
            type=dataset_type,
            data_root=data_root,
            data_prefix=dict(img_path='leftImg8bit/train'),
            pipeline=unlabeled_pipeline,
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
