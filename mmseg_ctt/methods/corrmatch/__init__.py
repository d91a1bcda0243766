# Copyright (c) mmseg_ctt contributors.
"""CorrMatch, arXiv 2306.04300 (CVPR 2024): correlations between pixels spread labels.

UniMatch with one strong view, whose pseudo-labels grow over regions of similar pixels.

- ``segmentor.py``: the step
- ``correlation.py``: the training part that correlates pixels, spreads logits and draws regions
- ``threshold.py``: the global threshold that follows the confidence of the student
- ``functional.py``: correlation, propagation over pixels and over regions
"""

from .segmentor import CorrMatch

__all__ = ['CorrMatch']
