# Copyright (c) mmseg_ctt contributors.
from .hooks import PseudoLabelHook, QueueWarmupHook, TeacherEMAHook
from .loops import ResumableTrainLoop
from .member_loops import MemberTestLoop, MemberValLoop
from .optim import StudentOptimWrapperConstructor

__all__ = [
    'MemberTestLoop', 'MemberValLoop', 'PseudoLabelHook', 'QueueWarmupHook', 'ResumableTrainLoop',
    'StudentOptimWrapperConstructor', 'TeacherEMAHook'
]
