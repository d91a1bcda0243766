# ECOCSeg on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows the paper and its released code (of domain adaptation alone) in the words of 40 bits, the nearest
# word, the reliable bits (0.95, at most 8 words) and the three losses of bits; the step around them is that
# of UniMatch V2. Our own: a contrast whose sum holds the target and the words of other classes, pixels
# without reliable bits are left out, a convolutional network for the transformer, its optimiser, and a
# teacher that normalises by the statistics of its batch.
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/ecocseg/ecocseg_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='ECOCSeg', channels_last=True)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', alpha=0.996),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
