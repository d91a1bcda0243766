# Copyright (c) mmseg_ctt contributors.
"""AugSeg (arXiv 2212.04976).

``segmentor.py`` has the step, ``cut_mix.py`` the adaptive CutMix that injects labels,
``functional.py`` the confidence of an image and the order of the two boxes. The random intensities
are :class:`mmseg_ctt.nn.augmentation.RandomIntensity`.
"""

from .cut_mix import LabelInjectingCutMix
from .segmentor import AugSeg

__all__ = ['AugSeg', 'LabelInjectingCutMix']
