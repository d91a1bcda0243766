# ECOCSeg: UniMatch V2 whose head predicts bits of error-correcting words, one word for each class.
model = dict(type='ECOCSeg')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
