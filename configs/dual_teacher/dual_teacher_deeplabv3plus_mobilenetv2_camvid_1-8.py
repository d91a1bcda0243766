# Dual Teacher on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the released code in the teachers' average of 0.99, the strong views in turns (CutMix, ClassMix),
# the threshold of 0.95 and the weight of 0.2 of the sub-model. Our own: the network, whose residual
# branches are dropped in the place of SegFormer's drop path, the optimiser, turns of a
# twentieth of the run (the code: an epoch), teachers that go on from where they rested (the code: from a copy of the
# student), and boxes of half of the area (the code: about half).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/dual_teacher/dual_teacher_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='DualTeacher', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', alpha=0.99),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
