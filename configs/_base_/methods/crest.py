# CReST: generations of ClassMix with class-rebalanced pseudo-labels; run it with tools/self_train.py.
# self_training.align=True is CReST+.
model = dict(type='ClassMix', consistency=dict(confidence_threshold=0.95))
self_training = dict(generations=3, alpha=1 / 3)
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook'))
