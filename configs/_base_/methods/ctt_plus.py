# CTT with alignment, class thresholds, a ramp and little contrast: for short runs on few labels.
model = dict(
    type='CrossTeacherTraining',
    loss_weights=dict(hc=0.01, lc=0.01),
    consistency=dict(select='pixel', class_thresholds=dict()),
    ramp_up=0.4,
    bank=dict(size=64),
    contrast=dict(pool=4),
)
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=1 / 3),
    alignment=dict(
        type='DistributionAlignmentHook', temperature=0.5, uniform_start=False, only_raise=True
    ),
)
