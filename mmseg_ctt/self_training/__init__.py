# Copyright (c) mmseg_ctt contributors.
"""Rounds of training and labelling, on top of any config, by recipes.

``rounds.py`` is what all recipes share, ``recipes.py`` finds them by name. CReST:
``generations.py``, ``labelling.py``, ``selection.py``, ``dataset.py``. Multi-planar co-training:
``multi_planar.py`` and the files that begin with ``plane_``. AuxSegNet: the files that
begin with ``auxsegnet_``. Class-incremental learning: ``class_incremental.py`` and the files that
begin with ``incremental_``. Distillation: the files that begin with ``distillation``.
"""

from .auxsegnet_rounds import AuxSegNetRounds
from .auxsegnet_settings import AuxSegNetSettings
from .class_incremental import ClassIncremental
from .dataset import SelfTrainingDataset
from .distillation import Distillation
from .distillation_settings import DistillationSettings
from .generations import SelfTraining
from .incremental_settings import IncrementalSettings
from .multi_planar import MultiPlanarCoTraining
from .plane_settings import PlaneSettings
from .recipes import RECIPES, build_rounds
from .rounds import Rounds
from .settings import Settings

__all__ = [
    'RECIPES',
    'AuxSegNetRounds',
    'AuxSegNetSettings',
    'ClassIncremental',
    'Distillation',
    'DistillationSettings',
    'IncrementalSettings',
    'MultiPlanarCoTraining',
    'PlaneSettings',
    'Rounds',
    'SelfTraining',
    'SelfTrainingDataset',
    'Settings',
    'build_rounds',
]
