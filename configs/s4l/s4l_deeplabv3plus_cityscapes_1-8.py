# S4L with rotation on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# Rotation as in the CamVid config, which says what follows the paper. Learning rate, weight decay,
# crops and length are those of the supervised baseline, since the paper has no segmentation.
#
# 2 labelled and 2 unlabelled crops of 256x512 on one GPU; with n GPUs divide batch_size by n.
# Published figures: none. mIoU, time and memory: not measured.
# python tools/train.py configs/s4l/s4l_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='S4L', auxiliary_tasks=[dict(type='RotationTask')])
sizes = dict(ratio_range=(0.5, 2.0))
optim_wrapper = dict(optimizer=dict(lr=0.01))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))  # an average that only predicts
