# Copyright (c) mmseg_ctt contributors.
from .duplicates import duplicate_images, same_content
from .log_checks import confident_ratio, empty_queues, not_finite, teacher_below_student
from .missing import missing_hook, repeated_hook

__all__ = [
    'confident_ratio',
    'duplicate_images',
    'empty_queues',
    'missing_hook',
    'not_finite',
    'repeated_hook',
    'same_content',
    'teacher_below_student',
]
