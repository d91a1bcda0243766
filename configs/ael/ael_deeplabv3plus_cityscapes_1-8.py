# AEL on Cityscapes with 372 labels, DeepLabV3+ R101.
#
# As in the released code for Cityscapes: every pixel counts, three classes pasted, areas of 0.005 and
# 0.01, SGD 0.01 with ten times that in the decoder, weight decay 1e-4, the teacher in training mode
# with its own batch-norm statistics, no colours in the strong view. Our own: crops of 256x512 of
# halved images and 80,000 iterations as for the other methods here (the release: 769x769 of whole
# images), plain cross-entropy and no auxiliary head, and what README.md of this folder lists.
#
# 2 labelled and 2 unlabelled crops of 256x512 on one GPU; each further GPU adds as many (raise
# batch_size only). Published for 1/8 (as quoted by U2PL, at 769x769): 75.55 mIoU.
# mIoU, time and memory of this implementation: not measured.
# python tools/train.py configs/ael/ael_deeplabv3plus_cityscapes_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r101-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/sgd_poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='AEL',
    joint_forward=True,
    consistency=dict(confidence_threshold=0.0),
    strong_augmentation=[],
)
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
