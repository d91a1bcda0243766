# Copyright (c) mmseg_ctt contributors.
"""Train, evaluate and export in Python; :mod:`mmseg_ctt.apis` has the names for users."""

from .evaluate import evaluate
from .export import ExportedModel, export
from .run import TrainingRun
from .scores import Scores
from .train import train

__all__ = ['ExportedModel', 'Scores', 'TrainingRun', 'evaluate', 'export', 'train']
