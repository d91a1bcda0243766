# UniMatch V2 on Pascal VOC with 92 labels of the classic set, DINOv2-B with DPT.
#
# Follows the paper and its released code: threshold 0.95, complementary channel dropout, EMA of
# 0.996 in eval mode, both terms halved, AdamW 5e-6 and 40 times that in the decoder, weight decay
# 0.01, crops of 518, 60 epochs of the unlabelled images. Our own: images at 0.5 to 1.6 of their
# size (the code: to 2.0), validation images are padded to a multiple of 14 pixels (the code resizes
# them to one).
#
# 4 labelled and 4 unlabelled crops of 518x518 on each of 4 GPUs; on fewer GPUs raise
# train_dataloader.batch_size, or lower the learning rate. Published: 86.3 mIoU, the best epoch;
# 86.27 in the last epoch of the training log. mIoU, time and memory of this implementation: not
# measured.
# python tools/train.py configs/unimatch_v2/unimatch_v2_dinov2-b-dpt_voc_92.py
_base_ = [
    '../_base_/models/dinov2-b_dpt.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(type='UniMatchV2', teacher_mode='eval')
sizes = dict(crop_size=(518, 518), max_iters=39300)
train_dataloader = dict(batch_size=8, dataset=dict(split='splits/92/seed0'))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
