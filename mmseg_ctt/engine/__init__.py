# Copyright (c) mmseg_ctt contributors.
from . import checked_loaders, drawn_images, held_runner  # extend mmengine and mmseg
from .config import prepare_config
from .hooks.data_timer_hook import DataTimerHook
from .hooks.distribution_alignment_hook import DistributionAlignmentHook
from .hooks.do_no_harm_hook import DoNoHarmHook
from .hooks.guard_hook import GuardHook
from .hooks.live_line_hook import LiveLineHook
from .hooks.log_values_hook import LogValuesHook
from .hooks.preemption_hook import PreemptionHook
from .hooks.pseudo_label_hook import PseudoLabelHook
from .hooks.queue_warmup_hook import QueueWarmupHook
from .hooks.safe_checkpoint_hook import SafeCheckpointHook
from .hooks.teacher_ema_hook import TeacherEMAHook
from .hooks.teacher_inference_hook import TeacherInferenceHook
from .log_processor import RunLogProcessor
from .loops import ResumableTrainLoop
from .member_loops import MemberTestLoop, MemberValLoop
from .optim import StudentOptimWrapperConstructor
from .part_optimizer import PartOptimizer
from .precision import BFloat16OptimWrapper
from .presets import merge_options

__all__ = [
    'BFloat16OptimWrapper',
    'DataTimerHook',
    'DistributionAlignmentHook',
    'DoNoHarmHook',
    'GuardHook',
    'LiveLineHook',
    'LogValuesHook',
    'MemberTestLoop',
    'MemberValLoop',
    'PartOptimizer',
    'PreemptionHook',
    'PseudoLabelHook',
    'QueueWarmupHook',
    'ResumableTrainLoop',
    'RunLogProcessor',
    'SafeCheckpointHook',
    'StudentOptimWrapperConstructor',
    'TeacherEMAHook',
    'TeacherInferenceHook',
    'checked_loaders',
    'drawn_images',
    'held_runner',
    'merge_options',
    'prepare_config',
]
