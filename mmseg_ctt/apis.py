# Copyright (c) mmseg_ctt contributors.
"""Python API for trained models, under the name that mmseg uses for its own."""

from .deploy.api import SegResult, load_model, predict, predict_iter
from .deploy.volumes import VolumeResult, predict_volume

__all__ = ['SegResult', 'VolumeResult', 'load_model', 'predict', 'predict_iter', 'predict_volume']
