# ECOCSeg on Cityscapes with 372 labels, DINOv2-S with DPT.
#
# Follows the paper in the words of bits, the reliable bits and the losses of bits, as in the CamVid config.
# The released code has no semi-supervised training: the step, learning rates, crops of 798 and the length
# of the run are those of the config of UniMatch V2 beside it, whose header says what they follow.
#
# 2 labelled and 2 unlabelled crops of 798x798 on each of 4 GPUs; on fewer GPUs raise
# train_dataloader.batch_size, or lower the learning rate. Published: none that we know. mIoU, time and memory of
# this implementation: not measured.
# python tools/train.py configs/ecocseg/ecocseg_dinov2-s-dpt_cityscapes_1-8.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ECOCSeg',
    segmentor=dict(test_cfg=dict(mode='slide', crop_size=(798, 798), stride=(532, 532))),
    teacher_mode='eval',
)
sizes = dict(
    scale=(2048, 1024),
    ratio_range=(0.5, 2.0),
    crop_size=(798, 798),
    num_classes=19,
    max_iters=58500,
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
