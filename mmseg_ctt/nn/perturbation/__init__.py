# Copyright (c) mmseg_ctt contributors.
"""Perturbations of feature maps, between backbone and decode head."""

from .activations import FeatureDropout, FeatureNoise
from .channels import ChannelDropout, ComplementaryChannelDropout
from .passes import Perturb, Perturbation, PerturbedPasses, appended
from .step import FEATURE_PERTURBATIONS, FeaturePerturbation, FeaturePerturbations

__all__ = [
    'FEATURE_PERTURBATIONS',
    'ChannelDropout',
    'ComplementaryChannelDropout',
    'FeatureDropout',
    'FeatureNoise',
    'FeaturePerturbation',
    'FeaturePerturbations',
    'Perturb',
    'Perturbation',
    'PerturbedPasses',
    'appended',
]
