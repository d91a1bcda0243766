# Mean teacher for the left atrium in MR volumes: 8 labelled and 16 unlabelled cases.
#
# Settings are those of the CamVid config of this folder, but the noise on the student's input is of
# brightness and contrast and blur, since grey slices have no colours. Layout:
# ../_base_/datasets/la3d.py. Figures: docs/volume_results.md.
# python tools/train.py configs/mean_teacher/mean_teacher_deeplabv3plus_mobilenetv2_la3d.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/la3d.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MeanTeacher',
    segmentor=dict(data_preprocessor=dict(size=(144, 144)), decode_head=dict(num_classes=2)),
    strong_augmentation=[
        dict(type='ColorJitter', saturation=0.0, hue=0.0),
        dict(type='GaussianBlur'),
    ],
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only; the unlabelled volumes have no labels
        type='PseudoLabelHook',
        confidence_threshold=0.968,  # as CTT counts; the method itself has no threshold
        interval=500,
    ),
)
train_cfg = dict(max_iters=1000)
test_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU']), dict(type='VolumeMetric')]
