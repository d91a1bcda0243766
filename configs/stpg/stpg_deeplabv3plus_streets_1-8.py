# STPG on 50 labelled and 350 unlabelled street scenes, from scratch, in minutes on a CPU.
#
# Formulae, weights and CutMix follow the released code. Our own, as in the CTT config of these
# data: joint batch statistics, queues of 64, embeddings pooled from stride 4 to 8, a tenth of
# the released weight on the contrast, from iteration 600; and a trained projection with the
# memory in its space.
#
# mIoU, time and memory: not measured.
# python tools/dataset_converters/make_streets.py
# python tools/train.py configs/stpg/stpg_deeplabv3plus_streets_1-8.py
_base_ = ['../supervised/supervised_deeplabv3plus_streets_1-8.py']
model = dict(
    _delete_=True,
    type='STPG',
    segmentor=_base_.model,
    teacher_mode='train',
    channels_last=True,
    loss_weights=dict(contrast_labeled=0.01, contrast_unlabeled=0.01),
    bank=dict(size=64),
    contrast=dict(pool=2),
    test_cfg=dict(predict_on='student0'),
)
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [
    dict(type='TeacherEMAHook', buffers=False),
    dict(type='QueueWarmupHook', start_iter=600),
    dict(type='AnchorAssignmentHook'),
]
