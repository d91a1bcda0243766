# CTT as published, for short runs and small batches: queues of 64, embeddings averaged over squares of 4,
# contrast from a third of the run at the latest.
model = dict(type='CrossTeacherTraining', bank=dict(size=64), contrast=dict(pool=4))
default_hooks = dict(
    teacher_ema=dict(type='TeacherEMAHook'),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=1 / 3),
)
