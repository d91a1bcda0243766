# DTC for the left atrium in slices of MR volumes: 8 labelled and 16 unlabelled cases.
#
# Follows the released code, which trains a 3D network on this data, in the weights of Dice (1),
# distance (0.3) and consistency (1), its climb and the steepness of 1500. Our own: slices, two softmax
# channels, cross-entropy beside Dice, distance maps whose sign is the label (a slice without atrium
# is 1 everywhere), and the optimiser. The losses and maps of the released code, and its single
# sigmoid channel, which is the same function of one logit:
#   --cfg-options model.mode=released model.segmentor.decode_head.out_channels=1 \
#       model.segmentor.decode_head.threshold=0.5
#
# Layout: ../_base_/datasets/la2d.py. Figures: docs/volume_results.md.
# python tools/train.py configs/dtc/dtc_deeplabv3plus_mobilenetv2_la2d.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/la2d.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='DualTaskConsistency',
    segmentor=dict(data_preprocessor=dict(size=(144, 144)), decode_head=dict(num_classes=2)),
)
train_cfg = dict(max_iters=1000)
