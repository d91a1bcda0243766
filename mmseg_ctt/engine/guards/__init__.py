# Copyright (c) mmseg_ctt contributors.
from .duplicates import duplicate_images, same_content
from .log_checks import confident_ratio, empty_queues, not_finite, teacher_below_student
from .missing import check_hooks, hook_key, missing_hook, repeated_hook
from .parts import check_parts, wrong_part
from .stages import check_stages, late_stage

__all__ = [
    'check_hooks',
    'check_parts',
    'check_stages',
    'confident_ratio',
    'duplicate_images',
    'empty_queues',
    'hook_key',
    'late_stage',
    'missing_hook',
    'not_finite',
    'repeated_hook',
    'same_content',
    'teacher_below_student',
    'wrong_part',
]
