# SGD of the ClassMix release: 2.5e-4, momentum 0.9, weight decay 5e-4, polynomial decay, 40,000
# iterations.
# `sizes.max_iters` sets another length, and the end of the decay with it.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
)
# mmengine reaches eta_min in the last iteration, the release one iteration later
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, end=40001, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=40000, val_interval=4000)
