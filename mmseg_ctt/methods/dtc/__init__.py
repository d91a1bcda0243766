# Copyright (c) mmseg_ctt contributors.
"""Dual-task consistency (DTC), arXiv 2009.04448.

One student with two tasks: the classes of the pixels, and the signed distance to the border of each
class. On images without labels both must agree.

- ``segmentor.py``: the step
- ``level_set.py``: the head of the distances, on the input of the classifier
- ``functional.py``: smooth Heaviside transform, losses of the distances and of the agreement
- ``mmseg_ctt.datasets.signed_distance``: distance maps in the loader
"""

from .segmentor import DualTaskConsistency

__all__ = ['DualTaskConsistency']
