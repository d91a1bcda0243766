# Copyright (c) mmseg_ctt contributors.
"""Functional core: pure functions on tensors that several methods use.

They import torch only, know nothing of mmseg, hold no state, never synchronise with the host and
return a zero that keeps the graph (never NaN) when nothing is selected. Functions of a single
method live in its folder, ``mmseg_ctt.methods.<method>``, and can be imported from here as well.
"""

from importlib import import_module
from typing import Any, List

from .alignment import alignment_bias, distribution_alignment, target_distribution
from .batch_hard_triplet import BatchHardTriplet, batch_hard_triplet
from .centred_boxes import centred_box_mask, random_centres
from .class_draw import class_sums, draw_index, draw_per_class, pixels_by_class
from .class_graph import class_graph, graph_triplets, triplet_loss
from .class_maps import class_map_logits, class_scores, normalized_class_maps
from .colour import gaussian_blur, hsv_noise, jitter_colours, shift_hue
from .confidence import confidence_weight
from .connected_components import connected_components
from .consistency import (
    confident_fraction_cross_entropy,
    consistency_loss,
    consistency_sums,
    weighted_cross_entropy,
)
from .dice import squared_dice_loss
from .distances import pixel_consistency
from .ema import copy_tensors_, ema_decay, ema_update_
from .locally_adaptive import locally_adaptive_loss
from .mixing import class_mix_mask, cut_mix_mask, mix, rejection_box_mask
from .pamr import pamr
from .patch_sampling import crop_patches, sample_patches
from .perturbation import (
    adaptive_radius,
    adversarial_direction,
    channel_dropout,
    complementary_channel_dropout,
    feature_dropout,
    uniform_feature_noise,
)
from .pixel_noise import pixel_noise
from .prediction_entropy import prediction_entropy
from .probability import complement, two_class_logits
from .pseudo_label import downsample_nearest, pseudo_label
from .random_views import random_crop_boxes, resized_crops
from .resized_cross_entropy import resized_cross_entropy
from .retrieval import retrieval_accuracy
from .running_mean import confidence_bank_update, warm_momentum
from .schedule import cosine_ramp, linear_ramp, sigmoid_ramp
from .segmentation_counts import pixel_counts, pseudo_label_scores
from .selection import class_balanced_weight, select_per_class, sums_by_class
from .sigmoid_cross_entropy import sigmoid_cross_entropy
from .supervised import cross_entropy, ohem_cross_entropy, soft_cross_entropy

# functions of one method, by the module that defines them
METHODS = {
    'methods.ael.functional': (
        'choose_partner',
        'class_confidence_sums',
        'class_draw_probability',
        'class_mask',
        'equalization_rate',
        'equalized_consistency',
        'equalized_sample',
        'object_box',
        'sample_index',
        'tail_classes',
    ),
    'methods.allspark.functional': (
        'channel_attention',
        'channel_classes',
        'queue_sources',
        'score_variance',
    ),
    'methods.augseg.functional': ('image_confidence', 'injected_source'),
    'methods.auxsegnet.functional': (
        'gated_affinity',
        'pixel_affinity',
        'pooled',
        'pooling_stride',
        'propagate',
        'pseudo_label_loss',
        'saliency_loss',
    ),
    'methods.cac.functional': (
        'crop_windows',
        'flip_back',
        'matching_pixels',
        'overlapping_windows',
        'pixel_contrast',
    ),
    'methods.cct.functional': ('component_boxes', 'erased_windows'),
    'methods.corrmatch.functional': (
        'class_maxima',
        'pixel_correlation',
        'propagate_regions',
        'region_masks',
        'spread_logits',
        'threshold_update',
    ),
    'methods.crest.functional': (
        'class_rebalanced_selection',
        'class_thresholds',
        'generation_temperature',
        'keep_rates',
    ),
    'methods.ctt.functional': ('high_level_contrast', 'low_level_contrast'),
    'methods.dtc.functional': ('distance_loss', 'dual_task_consistency', 'smooth_heaviside'),
    'methods.dual_negative.functional': (
        'check_negatives',
        'negative_classes',
        'negative_label_loss',
        'negative_ramp',
        'stable',
    ),
    'methods.ecocseg.functional': (
        'bit_certainty',
        'code_distance',
        'code_loss',
        'distance_scores',
        'likelihood_scores',
        'max_min_code',
        'reliable_bits',
        'words_of',
    ),
    'methods.group_wsss.functional': (
        'co_attention',
        'graph_dropout',
        'joined_messages',
        'other_images',
    ),
    'methods.guidedmix.functional': (
        'agreement',
        'classes_present',
        'decouple',
        'interpolate_pair',
        'most_similar',
        'sigmoid_focal',
        'soft_squared_error',
    ),
    'methods.imas.functional': (
        'class_areas',
        'combined_easiness',
        'easy_hard_partner',
        'label_agreement',
    ),
    'methods.pixcon.functional': ('summed_positives_contrast',),
    'methods.prevmatch.functional': ('ensemble_logits', 'ring_order', 'triangular_weight'),
    'methods.reco.functional': ('draw_classes', 'negative_class_probability', 'regional_contrast'),
    'methods.ps_mt.functional': ('improbable_class_loss',),
    'methods.stpg.functional': (
        'anchor_contrast',
        'confusion_matrix',
        'equiangular_anchors',
        'mismatch_score',
        'mismatch_selection',
        'moving_centroids',
    ),
    'methods.u2pl.entropy': (
        'EntropyPartition',
        'drop_percent',
        'entropy_partition',
        'percentiles',
        'pixel_entropy',
    ),
    'methods.u2pl.functional': (
        'best_per_class',
        'negative_candidates',
        'reliable_cross_entropy',
        'unreliable_contrast',
    ),
    'methods.wilson.functional': (
        'binarize',
        'hard_map',
        'pooled_scores',
        'segmentation_target',
        'soft_target',
        'tagged_only',
    ),
    'methods.wilson.losses': (
        'BalancedLoss',
        'balanced_cross_entropy',
        'classification_loss',
        'feature_loss',
        'image_means',
        'localisation_loss',
        'mean_of_kept',
        'soft_segmentation_loss',
        'tags_are_met',
    ),
}
_HOMES = {name: module for module, names in METHODS.items() for name in names}

__all__ = [
    'BatchHardTriplet',
    'adaptive_radius',
    'adversarial_direction',
    'alignment_bias',
    'batch_hard_triplet',
    'channel_dropout',
    'centred_box_mask',
    'class_balanced_weight',
    'class_graph',
    'class_map_logits',
    'class_mix_mask',
    'class_scores',
    'class_sums',
    'complement',
    'complementary_channel_dropout',
    'confidence_bank_update',
    'confidence_weight',
    'confident_fraction_cross_entropy',
    'connected_components',
    'consistency_loss',
    'consistency_sums',
    'cosine_ramp',
    'crop_patches',
    'cross_entropy',
    'cut_mix_mask',
    'distribution_alignment',
    'downsample_nearest',
    'copy_tensors_',
    'draw_index',
    'draw_per_class',
    'ema_decay',
    'ema_update_',
    'feature_dropout',
    'gaussian_blur',
    'graph_triplets',
    'hsv_noise',
    'jitter_colours',
    'linear_ramp',
    'locally_adaptive_loss',
    'mix',
    'normalized_class_maps',
    'ohem_cross_entropy',
    'pamr',
    'pixel_consistency',
    'pixel_counts',
    'pixel_noise',
    'pixels_by_class',
    'prediction_entropy',
    'pseudo_label',
    'pseudo_label_scores',
    'random_centres',
    'random_crop_boxes',
    'rejection_box_mask',
    'resized_crops',
    'resized_cross_entropy',
    'retrieval_accuracy',
    'sample_patches',
    'select_per_class',
    'shift_hue',
    'sigmoid_cross_entropy',
    'sigmoid_ramp',
    'soft_cross_entropy',
    'squared_dice_loss',
    'sums_by_class',
    'target_distribution',
    'triplet_loss',
    'two_class_logits',
    'uniform_feature_noise',
    'warm_momentum',
    'weighted_cross_entropy',
]
__all__ += list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'..{_HOMES[name]}', __name__), name)


def __dir__() -> List[str]:
    return sorted([*globals(), *_HOMES])
