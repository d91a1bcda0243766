# ReCo for short runs and small batches: a representation of 64 channels averaged over squares of 4.
model = dict(type='ReCo', contrast=dict(dim=64, pool=4))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
