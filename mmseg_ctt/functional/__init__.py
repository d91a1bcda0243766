# Copyright (c) mmseg_ctt contributors.
"""The mathematics of the package: pure functions on tensors.

They import torch only, know nothing of mmseg, hold no state, never synchronise with the host and
return a zero that keeps the graph (never NaN) when nothing is selected. Registered modules are
thin shells over them.
"""
from .adaptive_mixing import (
    choose_partner,
    class_draw_probability,
    class_mask,
    object_box,
    sample_index,
    tail_classes,
)
from .anchors import anchor_contrast, equiangular_anchors, moving_centroids
from .class_draw import best_of_members, draw_per_class, draw_slots
from .colour import gaussian_blur, jitter_colours, shift_hue
from .connected_components import connected_components
from .contrast import high_level_contrast, low_level_contrast
from .crest import (
    alignment_bias,
    class_rebalanced_selection,
    class_thresholds,
    distribution_alignment,
    generation_temperature,
    keep_rates,
    target_distribution,
)
from .ema import ema_decay, ema_update_
from .entropy import (
    EntropyPartition,
    drop_percent,
    entropy_partition,
    percentiles,
    pixel_entropy,
)
from .equalization import (
    class_confidence_sums,
    confidence_bank_update,
    equalization_rate,
    equalized_consistency,
    equalized_sample,
    warm_momentum,
)
from .guided_mixing import (
    agreement,
    classes_present,
    decouple,
    interpolate_pair,
    most_similar,
    sigmoid_focal,
    soft_squared_error,
)
from .mismatch import (
    confusion_matrix,
    mismatch_score,
    mismatch_selection,
    weighted_cross_entropy,
)
from .mixing import class_mix_mask, cut_mix_mask, mix
from .negative_label import negative_classes, negative_label_loss, negative_ramp, stable
from .pixel_noise import pixel_noise
from .pseudo_label import (
                           confident_fraction_cross_entropy,
                           cross_entropy,
                           downsample_nearest,
                           pseudo_label,
)
from .resized_cross_entropy import resized_cross_entropy
from .segmentation_counts import pixel_counts, pseudo_label_scores
from .selection import class_balanced_weight, select_per_class, sums_by_class
from .u2pl import (
    class_sums,
    negative_candidates,
    reliable_cross_entropy,
    unreliable_contrast,
)

__all__ = [
    'EntropyPartition', 'agreement', 'alignment_bias', 'anchor_contrast', 'best_of_members',
    'choose_partner', 'class_balanced_weight', 'class_confidence_sums',
    'class_draw_probability', 'class_mask', 'class_mix_mask', 'class_rebalanced_selection',
    'class_sums', 'class_thresholds', 'classes_present', 'confidence_bank_update',
    'confident_fraction_cross_entropy', 'confusion_matrix', 'connected_components',
    'cross_entropy', 'cut_mix_mask', 'decouple', 'distribution_alignment', 'downsample_nearest',
    'draw_per_class', 'draw_slots', 'drop_percent', 'ema_decay', 'ema_update_',
    'entropy_partition', 'equalization_rate', 'equalized_consistency', 'equalized_sample',
    'equiangular_anchors', 'gaussian_blur', 'generation_temperature', 'high_level_contrast',
    'interpolate_pair', 'jitter_colours', 'keep_rates', 'low_level_contrast', 'mismatch_score',
    'mismatch_selection', 'mix', 'most_similar', 'moving_centroids', 'negative_candidates',
    'negative_classes', 'negative_label_loss', 'negative_ramp', 'object_box', 'percentiles',
    'pixel_counts', 'pixel_entropy', 'pixel_noise', 'pseudo_label', 'pseudo_label_scores',
    'reliable_cross_entropy', 'resized_cross_entropy', 'sample_index', 'select_per_class',
    'shift_hue', 'sigmoid_focal', 'soft_squared_error', 'stable', 'sums_by_class',
    'tail_classes', 'target_distribution', 'unreliable_contrast', 'warm_momentum',
    'weighted_cross_entropy'
]
