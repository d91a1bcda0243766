# UniMatch V2 on COCO with 1/512 of the labels (232), DINOv2-S with DPT.
#
# Follows the paper and its released code: threshold 0.95, complementary channel dropout, EMA of
# 0.996 in eval mode, both terms halved, AdamW 5e-6 and 40 times that in the decoder, weight decay
# 0.01, crops of 518, 20 epochs of the unlabelled images. Our own: validation images are padded to a
# multiple of 14 pixels (the code resizes them to one).
#
# 4 labelled and 4 unlabelled crops of 518x518 on each of 4 GPUs; on fewer GPUs raise
# train_dataloader.batch_size, or lower the learning rate. Published: 39.29 mIoU in the last epoch
# of the released training log (teacher), best 39.33. mIoU, time and memory of this implementation:
# not measured.
# python tools/train.py configs/unimatch_v2/unimatch_v2_dinov2-s-dpt_coco_1-512.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(type='UniMatchV2', teacher_mode='eval')
sizes = dict(num_classes=81, max_iters=147560)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
