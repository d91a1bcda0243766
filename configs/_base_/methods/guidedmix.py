# GuidedMix-Net: a labelled image is mixed into each unlabelled one, and its part is subtracted again.
model = dict(type='GuidedMixNet')
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    pseudo_labels=dict(confidence_threshold=0.95),  # where the config has that hook
)
