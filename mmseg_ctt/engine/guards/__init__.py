# Copyright (c) mmseg_ctt contributors.
from .duplicates import duplicate_images, same_content
from .missing import missing_hook
from .signs import confident_ratio, empty_queues, not_finite, teacher_below_student

__all__ = [
    'confident_ratio',
    'duplicate_images',
    'empty_queues',
    'missing_hook',
    'not_finite',
    'same_content',
    'teacher_below_student',
]
