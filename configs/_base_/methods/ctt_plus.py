# CTT with alignment, class thresholds, a ramp and little contrast: for short runs on few labels.
#
# Formulae follow the paper, the teachers' training mode the released code: in eval mode, with averaged
# statistics, they know nothing for the first few hundred iterations. Our own: batch statistics of
# labelled and unlabelled images joint in students but not in teachers; classes that pseudo-labels
# name too rarely are raised towards the flattened class frequencies of the labels, and pixels used
# from the mean confidence of their class on, because rare classes are taught away otherwise; students
# follow the teachers with full weight only after two fifths of the run, when these label better; the
# contrast has a tenth of the paper's weight and begins after a third of the run at the latest, because
# the rarest classes hardly ever enter their queues early on. Queues of 64, embeddings averaged over
# squares of 4. Trials: docs/lab_notebook.md.
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
