# VAT on Cityscapes with 372 labels, DeepLabV2 R101.
#
# The released code of CutMix-Seg has no VAT on Cityscapes: settings of VAT are those of its VOC runs,
# and network, optimiser, crops of 256x512 of halved images and 40,000 iterations those of its CutMix
# on Cityscapes. Our own: batches of 2 + 2 as for the other methods here (the code: 4 + 4), and what the
# VOC config lists.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU. Published figures: none that we could read.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/vat/vat_deeplabv2_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/adam_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='VirtualAdversarialTeacher',
    segmentor=dict(backbone=dict(norm_eval=True)),  # batch norm of the pre-trained weights
    joint_forward=False,
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
