# CutMix-Seg: a mean teacher whose student learns from CutMix of two images.
model = dict(type='CutMixSeg')
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
