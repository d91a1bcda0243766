# PixCon on CamVid with 46 labelled and 321 unlabelled images, from ImageNet weights, for a CPU.
#
# Follows paper and released code in the contrast (64 rightly predicted labelled pixels a class and step,
# 256 entries a class, temperature 0.1, weight 0.1) and UniMatch V2 in all else. Our own: a convolutional
# network for the transformer, its optimiser, a projection of 64 channels pooled from stride 4 to 16 (the
# code: 256, not pooled), and a teacher that normalises by the statistics of its batch (the code: eval
# mode; it matters to batch norm alone).
#
# mIoU, time and memory: not measured.
# python tools/train.py configs/pixcon/pixcon_deeplabv3plus_mobilenetv2_camvid_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(type='PixCon', channels_last=True, contrast=dict(dim=64, pool=4))
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', alpha=0.996),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
