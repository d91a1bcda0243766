# Copyright (c) mmseg_ctt contributors.
from .anchor_contrast import AnchorContrast
from .class_thresholds import ClassThresholds
from .confidence_bank import ConfidenceBank
from .cross_contrast import CrossContrast
from .data_preprocessor import SemiSegDataPreProcessor
from .decode_heads import DeepLabV2ASPPHead, DeepLabV2Head
from .losses import PixelCrossEntropyLoss
from .memory import ClassMemoryBank
from .projection import PixelProjection
from .segmentors import (
    AEL,
    STPG,
    U2PL,
    CrossTeacherTraining,
    DualNegativeLabel,
    GuidedMixNet,
    SemiSegmentor,
)
from .strong_view import StrongView
from .teaching import teaching_graph
from .unreliable_contrast import UnreliableContrast

__all__ = [
    'AEL', 'STPG', 'U2PL', 'AnchorContrast', 'ClassMemoryBank', 'ClassThresholds',
    'ConfidenceBank', 'CrossContrast', 'CrossTeacherTraining', 'DeepLabV2ASPPHead',
    'DeepLabV2Head', 'DualNegativeLabel', 'GuidedMixNet', 'PixelCrossEntropyLoss',
    'PixelProjection', 'SemiSegDataPreProcessor', 'SemiSegmentor', 'StrongView',
    'UnreliableContrast', 'teaching_graph'
]
