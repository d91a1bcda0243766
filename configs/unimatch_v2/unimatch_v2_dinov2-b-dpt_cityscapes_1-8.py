# UniMatch V2 on Cityscapes with 372 labels, DINOv2-B with DPT.
#
# Follows the paper and its released code: threshold 0.95, complementary channel dropout, EMA of
# 0.996 in eval mode, both terms halved, AdamW 5e-6 and 40 times that in the decoder, weight decay
# 0.01, crops of 798, 180 epochs of the unlabelled images. Our own: plain cross-entropy on labels
# (the code mines hard pixels), the mean of the logits of windows (the code: the sum of
# probabilities).
#
# 2 labelled and 2 unlabelled crops of 798x798 on each of 4 GPUs; on fewer GPUs raise
# train_dataloader.batch_size, or lower the learning rate. Published: 84.3 mIoU, the best epoch.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/unimatch_v2/unimatch_v2_dinov2-b-dpt_cityscapes_1-8.py
_base_ = [
    '../_base_/models/dinov2-b_dpt.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='UniMatchV2',
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
