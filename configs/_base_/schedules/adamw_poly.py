# AdamW with polynomial decay: the short runs from ImageNet weights or from scratch on a CPU.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.25)}),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-6, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=1500, val_interval=500)
val_cfg = dict(type='MemberValLoop')
test_cfg = dict(type='MemberTestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=500, max_keep_ckpts=2),
    guards=dict(type='GuardHook'),
    preemption=dict(type='PreemptionHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)
