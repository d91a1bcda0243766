# Class activation maps on Pascal VOC, ResNet-50 at output stride 8 from ImageNet weights: an image
# classifier that learns from the tags of the 10,582 images of the augmented set.
#
# Follows the paper: global average pooling over the maps, one linear layer. Sigmoids for several tags in
# an image as in the released code of AuxSegNet and Group-WSSS. Our own: network, SGD 0.01 with ten
# times that in the classifier, batches of 16 crops of 321x321, 10,000 iterations.
#
# One GPU; with n GPUs divide batch_size by n. mIoU, time and memory: not measured.
# python tools/train.py configs/cam/cam_r50-d8_voc.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc_tags.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ClassActivationMaps',
    segmentor=dict(
        data_preprocessor=dict(size=(321, 321)),
        backbone=dict(depth=50, init_cfg=dict(checkpoint='open-mmlab://resnet50_v1c')),
        decode_head=dict(
            _delete_=True, type='ClassMapHead', in_channels=2048, in_index=3, num_classes=21
        ),
    ),
)
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
sizes = dict(max_iters=10000)
train_cfg = dict(val_interval=2000)
