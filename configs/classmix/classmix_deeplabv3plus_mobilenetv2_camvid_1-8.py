# ClassMix on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows paper and released code: labels of the EMA teacher in training mode for all pixels, times the
# ratio of those at 0.968 or more, half of the classes pasted onto the neighbour, colours and blur. Our
# own: the optimiser, batch statistics of labelled and mixed images are joint in the student, and the
# teacher is evaluated with averages of its statistics.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/classmix/classmix_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='ClassMix', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
