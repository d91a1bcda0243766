# S4L with rotation on MSRC-21, 21 classes: 49 labelled and 345 unlabelled images, from ImageNet
# weights, for a CPU.
#
# Settings are those of the CamVid config, which says what follows the paper and what is ours.
# Layout: ../_base_/datasets/msrc21.py. mIoU, time and memory: not measured.
# python tools/train.py configs/s4l/s4l_deeplabv3plus_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='S4L',
    segmentor=dict(data_preprocessor=dict(size=(192, 192)), decode_head=dict(num_classes=21)),
    auxiliary_tasks=[dict(type='RotationTask')],
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))  # an average that only predicts
train_cfg = dict(max_iters=1000)
