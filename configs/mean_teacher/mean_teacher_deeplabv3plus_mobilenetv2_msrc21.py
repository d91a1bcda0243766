# Mean teacher on MSRC-21, 21 classes: 49 labelled and 345 unlabelled images, from ImageNet weights, for
# a CPU.
#
# Settings are those of the CamVid config of this folder, which says what follows the paper and what is
# ours. Layout: ../_base_/datasets/msrc21.py. Results: README.md of this folder.
# python tools/train.py configs/mean_teacher/mean_teacher_deeplabv3plus_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MeanTeacher',
    segmentor=dict(data_preprocessor=dict(size=(192, 192)), decode_head=dict(num_classes=21)),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confidence_threshold=0.968,  # as CTT counts; the method itself has no threshold
        interval=500,
    ),
)
train_cfg = dict(max_iters=1000)
