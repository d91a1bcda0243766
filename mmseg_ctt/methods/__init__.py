# Copyright (c) mmseg_ctt contributors.
"""One file or one folder a method."""

from .ael import AEL
from .allspark import AllSpark, AllSparkNeck
from .augseg import AugSeg
from .auxsegnet import AuxSegNet
from .base import SemiSegmentor
from .cac import ContextAwareConsistency
from .cam import ClassActivationMaps
from .cct import CrossConsistency
from .classmix import ClassMix
from .corrmatch import CorrMatch
from .cps import CrossPseudoSupervision
from .ctt import CrossTeacherTraining
from .cutmix_seg import CutMixSeg
from .dtc import DualTaskConsistency
from .dual_negative import DualNegativeLabel
from .dual_teacher import DualTeacher
from .ecocseg import CodeHead, ECOCSeg
from .feature_learning import FeatureLearning
from .fixmatch import FixMatchSeg
from .group_wsss import GroupSemanticMining
from .guidedmix import GuidedMixNet
from .imas import IMAS
from .mean_teacher import MeanTeacher
from .mm_tuning import MixAndMatchTuning
from .pixcon import PixCon
from .pretraining import SelfSupervisedPretraining
from .prevmatch import PastModelsHook, PrevMatch
from .ps_mt import PSMT
from .reco import ReCo
from .registry import registered_methods
from .s4l import S4L
from .semivl import SemiVL
from .stpg import STPG, AnchorAssignmentHook
from .u2pl import U2PL
from .unimatch import UniMatch
from .unimatch_v2 import UniMatchV2
from .vat import VirtualAdversarialTeacher
from .wilson import WILSON

__all__ = [
    'AEL',
    'ECOCSeg',
    'IMAS',
    'PSMT',
    'S4L',
    'STPG',
    'U2PL',
    'WILSON',
    'AllSpark',
    'AllSparkNeck',
    'AnchorAssignmentHook',
    'AugSeg',
    'AuxSegNet',
    'ClassActivationMaps',
    'ClassMix',
    'CodeHead',
    'ContextAwareConsistency',
    'CorrMatch',
    'CrossConsistency',
    'CrossPseudoSupervision',
    'CrossTeacherTraining',
    'CutMixSeg',
    'DualNegativeLabel',
    'DualTaskConsistency',
    'DualTeacher',
    'FeatureLearning',
    'FixMatchSeg',
    'GroupSemanticMining',
    'GuidedMixNet',
    'MeanTeacher',
    'MixAndMatchTuning',
    'PastModelsHook',
    'PixCon',
    'PrevMatch',
    'ReCo',
    'SelfSupervisedPretraining',
    'SemiSegmentor',
    'SemiVL',
    'VirtualAdversarialTeacher',
    'UniMatch',
    'UniMatchV2',
    'registered_methods',
]
