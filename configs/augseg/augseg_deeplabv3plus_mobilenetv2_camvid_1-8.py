# AugSeg on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# As in the released code: 1 to 3 random intensities of eleven, adaptive CutMix by the confidence
# of the image, threshold 0.95, loss over all pixels. Our own: injected labels lie on top of the other
# box (mode='released' has the order of the code), boxes are centred anywhere, the areas are drawn for
# each image, the optimiser, the teacher in training mode and its decay of 0.99.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/augseg/augseg_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='AugSeg', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
