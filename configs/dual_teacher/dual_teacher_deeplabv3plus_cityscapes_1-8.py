# Dual Teacher on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# What it follows and what is our own: see the VOC config; images are resized by 0.5 to 2.0, and turns have
# 1,300 iterations (an epoch of the unlabelled images). Optimiser, learning rates and weight decay are those
# of the other methods here; crops of 256x512 of halved images and 80,000 iterations too.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further. Published figures: metafile.yaml.
# mIoU, time and memory: not measured.
# python tools/train.py configs/dual_teacher/dual_teacher_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='DualTeacher', period=1300)
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.005, weight_decay=1e-4))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.99))
