# Copyright (c) mmseg_ctt contributors.
"""ECOCSeg, arXiv 2512.06870 (NeurIPS 2025): a word of an error-correcting code for each class.

UniMatch V2 whose decode head predicts bits; pseudo-labels are right in the bits that similar
classes share, even where the class is wrong.

- ``segmentor.py``: the step
- ``head.py``: any decode head with bits in the place of classes, and the loss of bits
- ``consistency.py``: which bits of a pseudo-label count
- ``functional.py``: codes, classes from bits, reliable bits, the loss
"""

from .head import CodeHead
from .segmentor import ECOCSeg

__all__ = ['CodeHead', 'ECOCSeg']
