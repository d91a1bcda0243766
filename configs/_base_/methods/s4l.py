# S4L: supervised learning with self-supervised tasks, rotation by default, on all images.
model = dict(type='S4L', auxiliary_tasks=[dict(type='RotationTask')])
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
