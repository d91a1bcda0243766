# Mean teacher on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the paper: squared difference to the probabilities of the EMA teacher, on labelled and
# unlabelled images, a weight that climbs along a sigmoid, noise on the student's input. The weight of
# 100 is that of the mean teacher in the released code of CPS. Our own: the noise is colour jitter and
# blur, the climb takes a quarter of the run, teachers are evaluated with averages of the student's
# batch-norm statistics; labelled and unlabelled images share a pass in the student only.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/mean_teacher/mean_teacher_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='MeanTeacher', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        confidence_threshold=0.968,  # as CTT counts; the method itself has no threshold
        interval=500,
    ),
)
