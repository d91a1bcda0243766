# AdamW for pre-trained vision transformers, as the released code of UniMatch V2: 5e-6 for the backbone
# and 40 times that for all other weights, weight decay 0.01, polynomial decay with power 0.9.
#
# 40,000 iterations; `sizes.max_iters` sets another length, and the end of the decay with it.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.025)}),
)
# mmengine reaches eta_min in the last iteration, the released code one iteration later
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, end=40001, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=40000, val_interval=4000)
