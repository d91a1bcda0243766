# STPG for short runs and small batches: queues of 64, embeddings averaged over squares of 4, contrast from
# a third of the run at the latest.
model = dict(type='STPG', bank=dict(size=64), contrast=dict(pool=4))
default_hooks = dict(
    pseudo_labels=dict(confidence_threshold=0.968),  # where the config has that hook
    teacher_ema=dict(type='TeacherEMAHook', buffers=False),
    queue_warmup=dict(type='QueueWarmupHook', start_iter=1 / 3),
    anchor_assignment=dict(type='AnchorAssignmentHook'),
)
