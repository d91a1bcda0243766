# Who teaches whom: direct mutual teaching, two students and no teacher; published (CTT, table 5):
# 60.35 mIoU. The labels are those of the weak view, weighted as in cross teaching.
# mIoU of this implementation: not measured.
# python tools/train.py configs/ctt/ablations/ctt_cityscapes_1-8_teaching-mutual.py
_base_ = ['../ctt_deeplabv2_cityscapes_1-8.py']
model = dict(supervision='mutual', loss_weights=dict(hc=0, lc=0))
default_hooks = dict(teacher_ema=None)  # there are no teachers
