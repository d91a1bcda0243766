# Copyright (c) mmseg_ctt contributors.
"""Registered parts that two methods or more use."""

from .class_thresholds import ClassThresholds
from .data_preprocessor import SemiSegDataPreProcessor
from .decode_heads import DeepLabV2ASPPHead, DeepLabV2Head
from .losses import PixelCrossEntropyLoss
from .memory_bank import ClassMemoryBank
from .projection import PixelProjection
from .strong_view import StrongView

__all__ = [
    'ClassMemoryBank',
    'ClassThresholds',
    'DeepLabV2ASPPHead',
    'DeepLabV2Head',
    'PixelCrossEntropyLoss',
    'PixelProjection',
    'SemiSegDataPreProcessor',
    'StrongView',
]
