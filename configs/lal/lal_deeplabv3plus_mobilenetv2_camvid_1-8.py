# Locally adaptive learning loss on CamVid with 46 labels, from ImageNet weights, for a CPU.
#
# The supervised baseline with another loss: cross-entropy of the class means of 3x3 windows around every
# pixel, exponent 5 (the paper's best on VOC, as summaries say). Our own: what no summary says, the width
# 1 of the Gaussian and the divisor of the mean; network and schedule.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/lal/lal_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
method = 'supervised'
model = dict(segmentor=dict(decode_head=dict(loss_decode=dict(type='LocallyAdaptiveLoss'))))
