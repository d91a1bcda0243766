# ClassMix: a mean teacher whose student learns from images that are mixed along the predicted classes.
model = dict(type='ClassMix')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
