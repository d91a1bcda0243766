# DTC on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the released code in the weights of Dice (1), distance (0.3) and consistency (1), its climb
# and the steepness of 1500. Our own: eleven classes, a level set of each (the code: one object),
# cross-entropy beside Dice, distance maps whose sign is the label, and the optimiser.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/dtc/dtc_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='DualTaskConsistency', channels_last=True)
