# Copyright (c) mmseg_ctt contributors.
from .cross_contrast import CrossContrast
from .data_preprocessor import SemiSegDataPreProcessor
from .decode_heads import DeepLabV2ASPPHead, DeepLabV2Head
from .losses import PixelCrossEntropyLoss
from .memory import ClassMemoryBank
from .segmentors import CrossTeacherTraining, SemiSegmentor
from .strong_view import StrongView
from .teaching import teaching_graph

__all__ = [
    'ClassMemoryBank', 'CrossContrast', 'CrossTeacherTraining', 'DeepLabV2ASPPHead',
    'DeepLabV2Head', 'PixelCrossEntropyLoss', 'SemiSegDataPreProcessor', 'SemiSegmentor',
    'StrongView', 'teaching_graph'
]
