# Copyright (c) mmseg_ctt contributors.
"""Dual negative labels (DNLL), arXiv 2301.03976, read for pixels.

Confident pixels learn the peer's label, all others a few classes that they are not.

- ``segmentor.py``: the step, schedules
- ``functional.py``: choice of negative classes, the negative loss, its ramp
"""

from .segmentor import DualNegativeLabel

__all__ = ['DualNegativeLabel']
