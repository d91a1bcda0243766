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
_base_ = ['../supervised/supervised_deeplabv3plus_cityscapes_1-8.py']
model = dict(
    _delete_=True,
    type='AEL',
    segmentor=_base_.model,
    teacher_mode='train',
    strong_view=dict(jitter_prob=0, blur_prob=0),
)
train_dataloader = dict(batch_size=4, sampler=dict(ratio=(1, 1)))
optim_wrapper = dict(
    optimizer=dict(weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
custom_hooks = [dict(type='TeacherEMAHook', buffers=False)]
