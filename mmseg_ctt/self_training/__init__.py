# Copyright (c) mmseg_ctt contributors.
"""Self-training with class-rebalanced selection (CReST), on top of any config."""

from .dataset import SelfTrainingDataset
from .generations import SelfTraining
from .settings import Settings

__all__ = ['SelfTraining', 'SelfTrainingDataset', 'Settings']
