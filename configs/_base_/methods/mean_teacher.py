# Mean teacher: a student that learns from the predictions of its own moving average.
model = dict(type='MeanTeacher')
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(confidence_threshold=0.968),  # where the config has that hook
)
