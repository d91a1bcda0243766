# Mean teacher for the left atrium in slices of MR volumes: 8 labelled and 16 unlabelled cases.
#
# Settings are those of the CamVid config of this folder, but the noise on the student's input is of
# brightness and contrast and blur, since grey slices have no colours. Layout:
# ../_base_/datasets/la2d.py. Figures: docs/volume_results.md.
# python tools/train.py configs/mean_teacher/mean_teacher_deeplabv3plus_mobilenetv2_la2d.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/la2d.py',
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
    pseudo_labels=dict(  # watches only: the masks of the unlabelled slices never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confidence_threshold=0.968,  # as CTT counts; the method itself has no threshold
        interval=500,
    ),
)
train_cfg = dict(max_iters=1000)
