# Copyright (c) mmseg_ctt contributors.
from .hooks import QueueWarmupHook, TeacherEMAHook
from .loops import ResumableTrainLoop
from .optim import StudentOptimWrapperConstructor

__all__ = [
    'QueueWarmupHook', 'ResumableTrainLoop', 'StudentOptimWrapperConstructor', 'TeacherEMAHook'
]
