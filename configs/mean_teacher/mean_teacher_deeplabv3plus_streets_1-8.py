# Mean teacher on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# Follows the paper; our own are weight, noise, climb and batch statistics, see the CamVid config.
#
# mIoU, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/mean_teacher/mean_teacher_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(type='MeanTeacher', channels_last=True)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
