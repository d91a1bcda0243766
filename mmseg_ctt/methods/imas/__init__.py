# Copyright (c) mmseg_ctt contributors.
"""iMAS (arXiv 2211.11335).

``segmentor.py`` has the step, ``easiness.py`` how easy an image is, ``cut_mix.py`` the CutMix of an
easy with a hard image, ``functional.py`` the mathematics of both.
"""

from .cut_mix import EasyHardCutMix
from .easiness import ImageEasiness
from .segmentor import IMAS

__all__ = ['IMAS', 'EasyHardCutMix', 'ImageEasiness']
