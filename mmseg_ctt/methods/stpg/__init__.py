# Copyright (c) mmseg_ctt contributors.
"""STPG, arXiv 2409.12680.

A general and a professional student, taught across; class anchors and a class memory.

- ``segmentor.py``: the step; which pixels the professional student learns from
- ``contrast.py``: dual contrast with anchors and memory; ``hook.py``: anchors to centroids
- ``functional.py``: anchors, centroids, the contrastive loss, the mismatch score
"""

from .hook import AnchorAssignmentHook
from .segmentor import STPG

__all__ = ['STPG', 'AnchorAssignmentHook']
