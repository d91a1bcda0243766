# Copyright (c) mmseg_ctt contributors.
"""Python API for trained models, under the name that mmseg uses for its own."""

from .deploy.api import SegResult, load_model, predict, predict_iter

__all__ = ['SegResult', 'load_model', 'predict', 'predict_iter']
