# S4L with rotation on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a
# CPU.
#
# As in the paper: rotation of labelled and unlabelled images besides the supervised loss. Our own: weight 0.1
# (the paper: 1), pixels for the paper's image classes, one random turn of each image (the paper: all
# four, `rotations='all'`), views in a pass of their own, no supervised loss on turned images, and the
# optimiser.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/s4l/s4l_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='S4L', auxiliary_tasks=[dict(type='RotationTask')])
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))  # an average that only predicts
