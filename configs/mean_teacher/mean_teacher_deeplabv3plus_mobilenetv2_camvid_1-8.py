# Mean teacher on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the paper: squared difference to the probabilities of the EMA teacher, on labelled and
# unlabelled images, a weight that climbs along a sigmoid, noise on the student's input. Our own: the
# weight of 1 (100 in the released code of CPS, which holds short runs at one class), the noise of
# colour jitter and blur, the climb in a quarter of the run, teachers that are evaluated with averages
# of the student's batch-norm statistics, labelled and unlabelled images in one pass of the student only.
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
