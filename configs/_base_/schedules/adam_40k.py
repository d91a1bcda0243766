# Adam of the CutMix-Seg release: a constant 3e-5, a tenth of it for pre-trained layers, without weight
# decay, 40,000 iterations.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=3e-5),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
param_scheduler = []
train_cfg = dict(type='ResumableTrainLoop', max_iters=40000, val_interval=4000)
