# Dual negative labels on Cityscapes with 372 labels, DeepLabV2 R101 of the CTT release.
#
# Numbers of the released code (of image classification) and this package's rules for pixels; the
# peers are the other pair's teachers, in training mode, with passes of their own for labelled and
# unlabelled images as in the CTT release. README.md of this folder.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further. The paper has no figure for segmentation. mIoU, time and
# memory: not measured.
# python tools/train.py configs/dual_negative/dual_negative_deeplabv2_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='DualNegativeLabel', joint_forward=False)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
