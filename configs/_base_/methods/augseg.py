# AugSeg: a mean teacher, random intensities, and CutMix that injects labels into images in doubt.
model = dict(type='AugSeg')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
