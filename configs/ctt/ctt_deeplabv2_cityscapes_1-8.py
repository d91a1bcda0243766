# CTT on Cityscapes with 372 labels, DeepLabV2 R101 of the CTT release.
#
# Follows the paper: queues of 128, confidence threshold 0.75, contrast once all queues are full. As
# in the released code: loss weights 1, 1, 0.1, 0.1 (first upload), temperatures 0.1 and 0.5,
# teachers in training mode with their own batch-norm statistics, labelled and unlabelled images in
# passes of their own, the mean colour of Cityscapes. The release starts one student from COCO weights; give them here as
# model.student_overrides=[dict(backbone=dict(init_cfg=dict(checkpoint=...))), dict()]. Our own: one
# strong view for both students.
#
# 2 labelled and 2 unlabelled crops of 256x512 on each GPU: images are mixed within a GPU, so that
# batch_size is not to be divided further.
# Published (CTT, table 1): 64.04 mIoU with 372 labels, at 512x1024.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/ctt/ctt_deeplabv2_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining',
    segmentor=dict(data_preprocessor=dict(mean=[73.15835921, 82.90891754, 72.39239876])),
    joint_forward=False,
    bank=dict(size=128),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    queue_warmup=dict(type='QueueWarmupHook'),
)
