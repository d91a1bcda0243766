# Copyright (c) mmseg_ctt contributors.
"""One file or one folder a method."""

from .ael import AEL
from .base import SemiSegmentor
from .ctt import CrossTeacherTraining
from .dual_negative import DualNegativeLabel
from .guidedmix import GuidedMixNet
from .stpg import STPG, AnchorAssignmentHook
from .u2pl import U2PL

__all__ = [
    'AEL',
    'STPG',
    'U2PL',
    'AnchorAssignmentHook',
    'CrossTeacherTraining',
    'DualNegativeLabel',
    'GuidedMixNet',
    'SemiSegmentor',
]
