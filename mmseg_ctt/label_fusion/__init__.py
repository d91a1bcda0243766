# Copyright (c) mmseg_ctt contributors.
"""Fusion of label maps: of the planes of a volume, and of the masks of several raters.

Of planes: majority, soft, votes, cleaning of components (``plane_fusion.py``). Of raters: majority,
STAPLE, consensus by graph cut. Pure functions of arrays, one topic a file. ``files.py`` and what
stands on it read and write folders of masks.
"""

from .agreement import AgreementTable, cohen_kappa, dice_of_counts, fleiss_kappa, pair_counts
from .alpha_expansion import alpha_expansion
from .consensus import Consensus, ConsensusSettings, consensus
from .features import image_features
from .min_cut import graph_cut
from .plane_fusion import PlaneFusion
from .staple import Staple, staple
from .votes import MISSING, majority_vote, soft_labels

__all__ = [
    'MISSING',
    'AgreementTable',
    'Consensus',
    'ConsensusSettings',
    'PlaneFusion',
    'Staple',
    'alpha_expansion',
    'cohen_kappa',
    'consensus',
    'dice_of_counts',
    'fleiss_kappa',
    'graph_cut',
    'image_features',
    'majority_vote',
    'pair_counts',
    'soft_labels',
    'staple',
]
