# Dual negative labels on 50 labelled and 350 unlabelled street scenes, from scratch, on a CPU.
#
# Numbers of the released code (of image classification) and this package's rules for pixels; the
# peers are the other pair's teachers, in training mode. README.md of this folder.
#
# mIoU, time and memory: not measured. The paper has no figure for segmentation.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/dual_negative/dual_negative_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly_scratch.py',
    '../_base_/default_runtime.py',
]
model = dict(type='DualNegativeLabel', channels_last=True)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
