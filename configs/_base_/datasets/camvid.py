# CamVid, 11 classes, 367 training, 101 validation and 233 test images (360x480), at 240x320 with
# crops of 192x256. Layout: tools/dataset_converters/camvid.py. A batch is 4 labelled and 4
# unlabelled images.
_base_ = ['./semi.py']
data_root = '{{$CAMVID_ROOT:data/camvid}}'
dataset_type = 'CamVidDataset'
num_classes = 11
scale, crop_size = (320, 240), (192, 256)  # (width, height), (height, width)

geometry = [
    dict(type='RandomResize', scale=scale, ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5)
]
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CheckSegMap', num_classes=num_classes), *geometry,
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]
unlabeled_pipeline = [dict(type='LoadImageFromFile'), *geometry, dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        labeled=dict(
            type=dataset_type,
            data_root=data_root,
            data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
            pipeline=labeled_pipeline),
        unlabeled=dict(
            type=dataset_type,
            data_root=data_root,
            data_prefix=dict(img_path='img_dir/train'),
            pipeline=unlabeled_pipeline)))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
        pipeline=test_pipeline))
test_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='img_dir/test', seg_map_path='ann_dir/test'),
        pipeline=test_pipeline))
