# CTT on MSRC-21, 21 classes: 49 labelled and 345 unlabelled images, from ImageNet weights, for a CPU.
#
# Settings are those of the CamVid config of this folder, which says what follows the paper and what is
# ours. Layout: ../_base_/datasets/msrc21.py. Results: README.md of this folder.
# python tools/train.py configs/ctt/ctt_deeplabv3plus_mobilenetv2_msrc21.py
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenetv2.py',
    '../_base_/datasets/msrc21.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining',
    segmentor=dict(data_preprocessor=dict(size=(192, 192)), decode_head=dict(num_classes=21)),
    bank=dict(size=64),
    contrast=dict(pool=4),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=1 / 3),
    pseudo_labels=dict(  # watches only: the masks of the unlabelled images never reach a loss
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='ann_dir/train')),
        interval=500,
    ),
)
train_cfg = dict(max_iters=1000)
