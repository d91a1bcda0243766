# VAT: a mean teacher whose student learns from adversarially changed images.
model = dict(type='VirtualAdversarialTeacher')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
