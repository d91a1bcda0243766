# U2PL for short runs and small batches: a tenth of the training on labels alone, queues of 3,000 that gain
# at most 100 keys a step, a representation of 64 channels averaged over squares of 4.
model = dict(
    type='U2PL',
    joint_forward=True,
    warmup=0.1,
    loss_weights=dict(contrast=0.1),
    bank=dict(size=3000, budget=100),
    contrast=dict(dim=64, pool=4),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    pseudo_labels=dict(confidence_threshold=0.968),  # where the config has that hook
)
