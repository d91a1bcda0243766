# CamVid, 11 classes, 367 training, 101 validation and 233 test images of 360x480. Layout:
# tools/dataset_converters/camvid.py.
_base_ = ['./semi_192x256.py']
source = dict(type='CamVidDataset', data_root='{{$CAMVID_ROOT:data/camvid}}')
train_dataloader = dict(
    dataset=dict(
        labeled=dict(
            data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'), **source
        ),
        unlabeled=dict(data_prefix=dict(img_path='img_dir/train'), **source),
    )
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'), **source)
)
test_dataloader = dict(
    dataset=dict(data_prefix=dict(img_path='img_dir/test', seg_map_path='ann_dir/test'), **source)
)
