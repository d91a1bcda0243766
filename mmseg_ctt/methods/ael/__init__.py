# Copyright (c) mmseg_ctt contributors.
"""Adaptive Equalization Learning (AEL), arXiv 2110.05474.

A mean teacher that pastes, samples and weights classes by how badly the student knows them.

- ``segmentor.py``: the step
- ``class_confidence.py``: moving mean of the confidence of each class
- ``mixing.py``: Adaptive Copy-Paste and Adaptive CutMix; ``tail_classes.py``: tail from statistics
- ``loss.py``: sampling and re-weighting of the consistency
- ``functional.py``: their mathematics
"""

from .segmentor import AEL

__all__ = ['AEL']
