# PS-MT: a student, two teachers that follow it in turns, and features changed by the teachers' decoders.
model = dict(type='PSMT')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
