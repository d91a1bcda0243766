# Copyright (c) mmseg_ctt contributors.
"""Fusion of label maps: of the planes of a volume, and of several raters.

Of planes: majority, soft, votes, cleaning of components (``plane_fusion.py``). Of raters: majority,
STAPLE, consensus by graph cut.
"""

from .plane_fusion import PlaneFusion

__all__ = ['PlaneFusion']
