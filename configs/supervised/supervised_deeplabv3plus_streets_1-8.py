# Supervised baseline on 50 of the 400 street scenes, from scratch, in minutes on a CPU.
#
# Results, time and memory: README.md of the CTT folder.
# python tools/train.py configs/supervised/supervised_deeplabv3plus_streets_1-8.py
_base_ = [
    '../_base_/models/deeplabv3plus_r18-small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/adamw_poly.py',
    '../_base_/default_runtime.py',
]
optim_wrapper = dict(
    optimizer=dict(lr=5e-3), paramwise_cfg=dict(_delete_=True, bypass_duplicate=False)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=1e-6, begin=50, by_epoch=False),
]
train_dataloader = dict(batch_size=4, sampler=dict(ratio=(1, 0)))
train_cfg = dict(max_iters=1200, val_interval=400)
