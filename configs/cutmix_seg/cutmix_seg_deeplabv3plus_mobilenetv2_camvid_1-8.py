# CutMix-Seg on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows paper and released code: squared difference to the EMA teacher's probabilities, summed over
# classes, times the ratio of pixels at 0.97 or more, CutMix of one box of half the area. Our own: the
# optimiser, batch norm that trains (the code freezes it), and the teacher in training mode.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/cutmix_seg/cutmix_seg_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='CutMixSeg', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
