# CTT on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV2 R101 of the CTT release.
#
# Follows the paper: queues of 128, confidence threshold 0.75, contrast once all queues are full. As
# in the released code: loss weights 1, 1, 0.1, 0.1 (first upload), temperatures 0.1 and 0.5,
# teachers in training mode with their own batch-norm statistics, labelled and unlabelled images in
# passes of their own. The release starts one student from COCO weights; give them here as
# model.student_overrides=[dict(backbone=dict(init_cfg=dict(checkpoint=...))), dict()]. Our own: one
# strong view for both students, and ClassMix (the release mixes on Cityscapes only; without it:
# model.strong_augmentation=[dict(type='ColorJitter'), dict(type='GaussianBlur')]).
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n.
# Published (CTT, table 2): 73.66 mIoU.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/ctt/ctt_deeplabv2_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
    bank=dict(size=128),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    queue_warmup=dict(type='QueueWarmupHook'),
)
