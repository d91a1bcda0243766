# Copyright (c) mmseg_ctt contributors.
from .queue_warmup_hook import QueueWarmupHook
from .teacher_ema_hook import TeacherEMAHook

__all__ = ['QueueWarmupHook', 'TeacherEMAHook']
