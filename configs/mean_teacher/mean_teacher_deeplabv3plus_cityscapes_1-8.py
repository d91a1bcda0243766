# Mean teacher on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# The method as in the released code of CPS, see the VOC config; that code has no mean teacher for
# Cityscapes. Our own: learning rate 0.01 as of the other methods here, images resized by 0.5 to 2.0 as
# CPS does, crops of 256x512 of halved images and 80,000 iterations.
#
# 2 labelled and 2 unlabelled crops of 256x512 on one GPU; with n GPUs divide batch_size by n.
# Published figures: none for this network. mIoU, time and memory: not measured.
# python tools/train.py configs/mean_teacher/mean_teacher_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MeanTeacher',
    joint_forward=False,
    strong_augmentation=[],
    ramp_up=0,
    loss_weights=dict(consistency=100.0),
)
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
