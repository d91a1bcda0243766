# CTT on Pascal VOC with 1/8 of the augmented set (1,323 labels), DeepLabV3+ R101.
#
# Follows the paper: queues of 128, confidence threshold 0.75, contrast once all queues are full. As
# in the released code: loss weights 1, 1, 0.1, 0.1 (first upload), temperatures 0.1 and 0.5,
# teachers in training mode with their own batch-norm statistics, labelled and unlabelled images in
# passes of their own, no weight decay of norms and biases, aligned corners. Our own: one strong view
# for both students, ClassMix (the release mixes on Cityscapes only), embeddings pooled from stride 4
# to 8, and output stride 8 (the release: 16, the last stage dilated by 2, 4 and 8).
#
# 10 labelled and 10 unlabelled crops of 321x321 on one GPU; with n GPUs divide batch_size by n. The
# paper has no figure for this split with this network. mIoU, time and memory: not measured.
# python tools/train.py configs/ctt/ctt_deeplabv3plus_voc_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/voc.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CrossTeacherTraining',
    segmentor=dict(decode_head=dict(num_classes=21), data_preprocessor=dict(size=(321, 321))),
    joint_forward=False,
    bank=dict(size=128),
    contrast=dict(pool=2),
)
optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    queue_warmup=dict(type='QueueWarmupHook'),
)
