# Labels only on COCO with 1/512 of the labels (232), DINOv2-S with DPT. The backbone is frozen: the
# decoder alone trains, at the same learning rate.
#
# All else is that of supervised_dinov2-s-dpt_coco_1-512.py. Published figures: none. mIoU, time and
# memory: not measured.
# python tools/train.py configs/supervised/supervised_dinov2-s-dpt-frozen_coco_1-512.py
_base_ = ['./supervised_dinov2-s-dpt_coco_1-512.py']
model = dict(backbone=dict(frozen=True))
