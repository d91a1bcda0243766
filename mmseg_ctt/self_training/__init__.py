# Copyright (c) mmseg_ctt contributors.
"""Generations of training and labelling (CReST), on top of any config."""

from .dataset import SelfTrainingDataset
from .generations import SelfTraining
from .settings import Settings

__all__ = ['SelfTraining', 'SelfTrainingDataset', 'Settings']
