# Copyright (c) mmseg_ctt contributors.
from .distribution_alignment_hook import DistributionAlignmentHook
from .do_no_harm_hook import DoNoHarmHook
from .guard_hook import GuardHook
from .live_line_hook import LiveLineHook
from .preemption_hook import PreemptionHook
from .pseudo_label_hook import PseudoLabelHook
from .queue_warmup_hook import QueueWarmupHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .teacher_ema_hook import TeacherEMAHook
from .teacher_inference_hook import TeacherInferenceHook

__all__ = [
    'DistributionAlignmentHook',
    'DoNoHarmHook',
    'GuardHook',
    'LiveLineHook',
    'PreemptionHook',
    'PseudoLabelHook',
    'QueueWarmupHook',
    'SafeCheckpointHook',
    'TeacherEMAHook',
    'TeacherInferenceHook',
]
