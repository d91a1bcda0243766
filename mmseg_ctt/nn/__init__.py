# Copyright (c) mmseg_ctt contributors.
"""Registered parts that two methods or more use, and what a step is written with."""

from . import dm_head  # noqa: F401, extends the head of mmseg
from .augmentation import StrongAugmentation
from .band_mobilenet import BandMobileNetV2
from .class_maps import ClassMapHead
from .class_thresholds import ClassThresholds
from .consistency import Consistency
from .data_preprocessor import SemiSegDataPreProcessor
from .decode_heads import DeepLabV2ASPPHead, DeepLabV2Head
from .dice_loss import SquaredDiceLoss
from .dilated_vgg import DilatedVGG
from .foundation import FoundationBackbone, LightDPTHead, LinearHead
from .images import Images
from .local_loss import LocallyAdaptiveLoss
from .losses import PixelCrossEntropyLoss, SoftCrossEntropyLoss
from .memory_bank import ClassMemoryBank
from .projection import PixelProjection
from .pseudo_label import PseudoLabel
from .sigmoid_loss import PixelSigmoidLoss
from .weight_files import pretrained_path

__all__ = [
    'BandMobileNetV2',
    'ClassMapHead',
    'ClassMemoryBank',
    'ClassThresholds',
    'Consistency',
    'DeepLabV2ASPPHead',
    'DeepLabV2Head',
    'DilatedVGG',
    'FoundationBackbone',
    'Images',
    'LightDPTHead',
    'LinearHead',
    'LocallyAdaptiveLoss',
    'PixelCrossEntropyLoss',
    'PixelProjection',
    'PixelSigmoidLoss',
    'PseudoLabel',
    'SemiSegDataPreProcessor',
    'SoftCrossEntropyLoss',
    'SquaredDiceLoss',
    'StrongAugmentation',
    'pretrained_path',
]
