# Class activation maps on the objects of MSRC-21, MobileNetV2 from ImageNet weights, for a CPU: an image
# classifier that learns from the tags of 394 images, and whose last convolution gives the maps.
#
# Follows the paper: global average pooling over the maps, one linear layer. Sigmoids for several tags
# in an image (multilabel soft margin) as in the released code of AuxSegNet and Group-WSSS. Our own:
# network, optimiser and sizes. The mIoU that a validation prints is of the maps alone, without tags,
# against a constant background.
#
# Then: tools/weak/make_cams.py, tools/weak/make_pseudo_labels.py, and the segmentor of
# cam-stage2_deeplabv3plus_mobilenetv2_msrc21.py (docs/guide/class_maps.md).
# Results: README.md of this folder.
# python tools/train.py configs/cam/cam_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21_tags.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ClassActivationMaps',
    segmentor=dict(
        decode_head=dict(
            _delete_=True, type='ClassMapHead', in_channels=320, in_index=3, num_classes=16
        )
    ),
)
# tags are of whole images, so crops show most of an image
sizes = dict(crop_size=(256, 256), ratio_range=(0.8, 1.25), max_iters=600)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(val_interval=300)
