# Copyright (c) mmseg_ctt contributors.
from .ael import AEL
from .cross_teacher import CrossTeacherTraining
from .dual_negative import DualNegativeLabel
from .guidedmix import GuidedMixNet
from .semi_base import SemiSegmentor
from .stpg import STPG
from .u2pl import U2PL

__all__ = [
    'AEL', 'STPG', 'U2PL', 'CrossTeacherTraining', 'DualNegativeLabel', 'GuidedMixNet',
    'SemiSegmentor'
]
