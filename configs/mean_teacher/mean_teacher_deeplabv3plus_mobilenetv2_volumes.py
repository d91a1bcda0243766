# Mean teacher on your own volumes; layout in ../_base_/datasets/volumes.py, method in
# ../_base_/methods/mean_teacher.py. A page shows each step: docs/guide/volumes.md.
# Set sizes.num_classes to the number of classes in meta.json. Figures: yours to measure.
# VOLUMES_ROOT=data/mine python tools/train.py configs/mean_teacher/mean_teacher_deeplabv3plus_mobilenetv2_volumes.py \
#     --cfg-options sizes.num_classes=3
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/volumes.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
method = 'mean_teacher'
model = dict(
    segmentor=dict(data_preprocessor=dict(size=(144, 144)), decode_head=dict(num_classes=2)),
    strong_augmentation=[
        dict(type='ColorJitter', saturation=0.0, hue=0.0),
        dict(type='GaussianBlur'),
    ],
)
