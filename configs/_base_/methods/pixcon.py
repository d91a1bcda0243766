# PixCon for short runs and small batches: UniMatch V2, and a contrast of labelled pixels that the student
# predicts right, of 64 channels averaged over squares of 4.
model = dict(type='PixCon', contrast=dict(dim=64, pool=4))
default_hooks = dict(teacher_ema=dict(type='TeacherEMAHook', alpha=0.996))
