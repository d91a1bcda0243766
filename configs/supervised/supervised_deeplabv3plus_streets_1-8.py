# Supervised baseline on 50 of the 400 street scenes, from scratch.
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py', '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly.py', '../_base_/default_runtime.py'
]
optim_wrapper = dict(paramwise_cfg=dict(_delete_=True, bypass_duplicate=False))
train_dataloader = dict(batch_size=4, sampler=dict(ratio=(1, 0)))
train_cfg = dict(max_iters=600, val_interval=600)
default_hooks = dict(checkpoint=dict(interval=200))
