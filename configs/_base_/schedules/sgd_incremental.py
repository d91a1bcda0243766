# SGD of the WILSON release for steps of class-incremental learning: 0.001 for the backbone and ten times
# that for decoder and localiser in later steps, 0.01 for all in step 0; nesterov momentum 0.9, weight decay
# 1e-4. Lengths are those of the config: `param_scheduler` and `train_cfg`, in `self_training.first_training`
# too.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='StudentOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, nesterov=True, weight_decay=1e-4),
    paramwise_cfg=dict(
        custom_keys={'decode_head': dict(lr_mult=10.0), 'localizer': dict(lr_mult=10.0)}
    ),
)
train_cfg = dict(type='ResumableTrainLoop')
self_training = dict(
    type='ClassIncremental',
    first_training=dict(
        optim_wrapper=dict(
            optimizer=dict(lr=0.01),
            paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=1.0)}),
        ),
        param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False)],
    ),
)
