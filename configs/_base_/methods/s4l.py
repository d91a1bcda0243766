# S4L: supervised learning with self-supervised tasks, rotation by default, on all images.
model = dict(type='S4L')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
