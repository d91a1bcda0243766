# AdamW with polynomial decay over 1,500 iterations, the backbone at a quarter of the learning rate:
# short runs from ImageNet weights, on a CPU.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.25)}),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-6, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=1500, val_interval=500)
