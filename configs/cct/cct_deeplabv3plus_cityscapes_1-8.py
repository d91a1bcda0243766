# CCT on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# The released code is for VOC; settings of the method and the optimiser are those of the VOC config.
# Our own besides: the background is road, pavement, building, wall, vegetation, terrain and sky, crops
# of 256x512 of halved images, images resized by 0.5 to 2.0, and 80,000 iterations as for the other
# methods here.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU. Published figures: none that we could read.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/cct/cct_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossConsistency',
    decoders='published',
    background=(0, 1, 2, 3, 8, 9, 10),
    joint_forward=False,
)
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
