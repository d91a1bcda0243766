# PixCon on Cityscapes with 372 labels, DINOv2-S with DPT.
#
# Follows paper and released code: what the VOC config lists, crops of 686, 120 epochs of the unlabelled
# images. Our own: as there, and images at 0.5 to 2.0 of their size and the windows of the validation are
# those of the UniMatch V2 config.
#
# 2 labelled and 2 unlabelled crops of 686x686 on each of 4 GPUs; on fewer GPUs raise
# train_dataloader.batch_size, or lower the learning rate. Published (DINOv2-B): 83.88 mIoU, one seed, best
# epoch. mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/pixcon/pixcon_dinov2-s-dpt_cityscapes_1-8.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='PixCon',
    segmentor=dict(test_cfg=dict(mode='slide', crop_size=(686, 686), stride=(458, 458))),
    teacher_mode='eval',
    contrast=dict(pool=4),
)
sizes = dict(
    scale=(2048, 1024),
    ratio_range=(0.5, 2.0),
    crop_size=(686, 686),
    num_classes=19,
    max_iters=39000,
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
