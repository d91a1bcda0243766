# iMAS: a mean teacher whose student learns the more, from stronger views, the easier an image is.
model = dict(type='IMAS', loss_weights=dict(unsup=3.0), consistency=dict(confidence_threshold=0.7))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
