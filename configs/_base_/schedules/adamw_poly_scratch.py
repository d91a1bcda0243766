# AdamW with a short warm-up and polynomial decay over 1,200 iterations: networks without pre-trained
# weights, on a CPU.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-3, weight_decay=0.01),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=1e-6, begin=50, by_epoch=False),
]
train_cfg = dict(type='ResumableTrainLoop', max_iters=1200, val_interval=400)
