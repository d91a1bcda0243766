# CTT on 50 labelled and 350 unlabelled street scenes, from scratch.
_base_ = ['../supervised/supervised_deeplabv3plus_streets_1-8.py']
model = dict(
    _delete_=True,
    type='CrossTeacherTraining',
    segmentor=_base_.model,
    channels_last=True,
    bank=dict(size=64),
    contrast=dict(pool=2))
train_dataloader = dict(batch_size=8, sampler=dict(ratio=(1, 1)))
custom_hooks = [dict(type='TeacherEMAHook'), dict(type='QueueWarmupHook', start_iter=200)]
