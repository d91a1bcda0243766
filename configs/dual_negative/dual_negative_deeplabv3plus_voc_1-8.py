# Dual negative labels on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# Numbers of the released code (of image classification) and this package's rules for pixels; the
# peers are the other pair's teachers, in training mode, with passes of their own for labelled and
# unlabelled images as in the CTT release. README.md of this folder.
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n. The
# paper has no figure for segmentation. mIoU, time and memory: not measured.
# python tools/train.py configs/dual_negative/dual_negative_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='DualNegativeLabel',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
