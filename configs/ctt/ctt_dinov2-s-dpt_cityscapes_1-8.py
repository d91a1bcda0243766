# CTT on Cityscapes with 372 labels, DINOv2-S with DPT.
#
# The method follows the paper: queues of 128, contrast once all queues are full, loss weights 1, 1,
# 0.1, 0.1. Our own: two students of one set of pre-trained weights, which differ in their decoders,
# one strong view for both, and embeddings averaged from stride 1.75 to 7. Network, optimiser,
# crops, batch and length are those of UniMatch V2's released code, so that the two can be compared
# (configs/unimatch_v2).
#
# 2 labelled and 2 unlabelled crops of 798x798 on each of 4 GPUs, with two students and two
# teachers; on fewer GPUs raise train_dataloader.batch_size, or lower the learning rate. Published
# figures: none for this network. mIoU, time and memory: not measured.
# python tools/train.py configs/ctt/ctt_dinov2-s-dpt_cityscapes_1-8.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining',
    segmentor=dict(test_cfg=dict(mode='slide', crop_size=(798, 798), stride=(532, 532))),
    joint_forward=False,
    bank=dict(size=128),
    contrast=dict(pool=4),
)
sizes = dict(
    scale=(2048, 1024),
    ratio_range=(0.5, 2.0),
    crop_size=(798, 798),
    num_classes=19,
    max_iters=58500,
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'), queue_warmup=dict(type='QueueWarmupHook')
)
