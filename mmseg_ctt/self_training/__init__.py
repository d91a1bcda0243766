# Copyright (c) mmseg_ctt contributors.
"""Generations of training and labelling (CReST), on top of any config."""
from .alignment import DistributionAlignment, DistributionAlignmentHook
from .dataset import SelfTrainingDataset
from .generations import SelfTraining
from .settings import Settings

__all__ = [
    'DistributionAlignment', 'DistributionAlignmentHook', 'SelfTraining', 'SelfTrainingDataset',
    'Settings'
]
