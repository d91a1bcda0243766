# Dual Teacher: one student and two averages of it, which label the unlabelled images in turns.
model = dict(type='DualTeacher')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.99))
