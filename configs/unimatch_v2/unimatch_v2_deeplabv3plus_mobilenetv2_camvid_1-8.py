# UniMatch V2 on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows paper and released code in the step, the threshold of 0.95, the weights of the terms, the
# strong views and the teacher's average of weights and buffers. Our own: a convolutional network for
# the transformer, its optimiser, and a teacher that normalises by the statistics of its batch (the
# code: eval mode; it matters to batch norm alone).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/unimatch_v2/unimatch_v2_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='UniMatchV2', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', alpha=0.996),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
