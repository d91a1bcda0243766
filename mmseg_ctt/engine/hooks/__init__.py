# Copyright (c) mmseg_ctt contributors.
from .pseudo_label_hook import PseudoLabelHook
from .queue_warmup_hook import QueueWarmupHook
from .teacher_ema_hook import TeacherEMAHook

__all__ = ['PseudoLabelHook', 'QueueWarmupHook', 'TeacherEMAHook']
