# AEL: a mean teacher in which classes of low confidence are pasted, sampled and weighted more. For short
# runs on few labels, as on CamVid.
model = dict(type='AEL', class_confidence=dict(momentum=0.99))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
