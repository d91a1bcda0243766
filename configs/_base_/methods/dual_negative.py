# Dual negative labels: confident pixels learn their label, all others which classes they are not.
model = dict(type='DualNegativeLabel')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False))
