# Labels only on Pascal VOC with 1/8 of the augmented set (1,323 labels), DINOv2-S with DPT. The
# backbone is frozen: the decoder alone trains, at the same learning rate.
#
# All else is that of supervised_dinov2-s-dpt_voc_1-8.py. Published figures: none. mIoU, time and
# memory: not measured.
# python tools/train.py configs/supervised/supervised_dinov2-s-dpt-frozen_voc_1-8.py
_base_ = ['./supervised_dinov2-s-dpt_voc_1-8.py']
model = dict(backbone=dict(frozen=True))
