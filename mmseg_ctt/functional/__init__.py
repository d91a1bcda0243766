# Copyright (c) mmseg_ctt contributors.
"""The mathematics of the package: pure functions on tensors.

They import torch only, know nothing of mmseg, hold no state, never synchronise with the host and
return a zero that keeps the graph (never NaN) when nothing is selected. Registered modules are
thin shells over them.
"""
from .colour import gaussian_blur, jitter_colours, shift_hue
from .contrast import high_level_contrast, low_level_contrast
from .ema import ema_decay, ema_update_
from .mixing import class_mix_mask, cut_mix_mask, mix
from .pseudo_label import (
                           confident_fraction_cross_entropy,
                           cross_entropy,
                           downsample_nearest,
                           pseudo_label,
)
from .resized_cross_entropy import resized_cross_entropy
from .segmentation_counts import pixel_counts, pseudo_label_scores
from .selection import class_balanced_weight, select_per_class

__all__ = [
    'class_balanced_weight', 'class_mix_mask', 'confident_fraction_cross_entropy', 'cross_entropy',
    'cut_mix_mask', 'downsample_nearest', 'ema_decay', 'ema_update_', 'gaussian_blur',
    'high_level_contrast', 'jitter_colours', 'low_level_contrast', 'mix', 'pixel_counts',
    'pseudo_label', 'pseudo_label_scores', 'resized_cross_entropy', 'select_per_class', 'shift_hue'
]
