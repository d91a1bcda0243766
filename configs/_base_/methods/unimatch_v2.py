# UniMatch V2: a student whose two strong views keep one half of the channels each, and its EMA teacher.
model = dict(type='UniMatchV2')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
