# Copyright (c) mmseg_ctt contributors.
"""Prediction of whole volumes by the slices of one plane."""

from .cases import Case, check_cases, check_outside, find_cases
from .outputs import PredictionFolder, read_record
from .predict import VolumeResult, class_probabilities, predict_volume
from .run import PredictionOptions, chosen_members, predict_cases, prediction_settings
from .settings import InputFiles, SliceSettings, input_files, slice_settings
from .trained import other_than_trained

__all__ = [
    'Case',
    'InputFiles',
    'PredictionFolder',
    'PredictionOptions',
    'SliceSettings',
    'VolumeResult',
    'check_cases',
    'check_outside',
    'chosen_members',
    'class_probabilities',
    'find_cases',
    'input_files',
    'other_than_trained',
    'predict_cases',
    'predict_volume',
    'prediction_settings',
    'read_record',
    'slice_settings',
]
