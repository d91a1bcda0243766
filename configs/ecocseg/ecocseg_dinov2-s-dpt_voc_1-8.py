# ECOCSeg on Pascal VOC with 1/8 of the augmented set (1,323 labels), DINOv2-S with DPT.
#
# Follows the paper in the words of bits, the reliable bits and the losses of bits, as in the CamVid config.
# The released code has no semi-supervised training: the step, learning rates, crops of 518 and the length
# of the run are those of the config of UniMatch V2 beside it, whose header says what they follow.
#
# 4 labelled and 4 unlabelled crops of 518x518 on each of 4 GPUs; on fewer GPUs raise
# train_dataloader.batch_size, or lower the learning rate. Published: none for this split. mIoU, time and memory of
# this implementation: not measured.
# python tools/train.py configs/ecocseg/ecocseg_dinov2-s-dpt_voc_1-8.py
_base_ = [
    '../_base_/models/dinov2-s_dpt.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/adamw_foundation.py',
    '../_base_/default_runtime.py',
]
model = dict(type='ECOCSeg', teacher_mode='eval')
sizes = dict(crop_size=(518, 518), max_iters=34680)
train_dataloader = dict(batch_size=8)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
