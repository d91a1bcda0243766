# Copyright (c) mmseg_ctt contributors.
from .hooks import (
    AnchorAssignmentHook,
    DistributionAlignmentHook,
    GuardHook,
    PreemptionHook,
    PseudoLabelHook,
    QueueWarmupHook,
    SafeCheckpointHook,
    TeacherEMAHook,
)
from .loops import ResumableTrainLoop
from .member_loops import MemberTestLoop, MemberValLoop
from .optim import StudentOptimWrapperConstructor

__all__ = [
    'AnchorAssignmentHook', 'DistributionAlignmentHook', 'GuardHook', 'MemberTestLoop',
    'MemberValLoop', 'PreemptionHook', 'PseudoLabelHook', 'QueueWarmupHook', 'ResumableTrainLoop',
    'SafeCheckpointHook', 'StudentOptimWrapperConstructor', 'TeacherEMAHook'
]
