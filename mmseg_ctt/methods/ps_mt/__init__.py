# Copyright (c) mmseg_ctt contributors.
"""Perturbed and strict mean teachers (PS-MT), arXiv 2111.12903.

One student and two teachers that follow it in turns; the mean of their predictions labels the
images, and their decoders say how the student's features are changed (T-VAT).

- ``segmentor.py``: the step
- ``functional.py``: loss of classes that are improbable for the teachers
- ``mmseg_ctt.nn.adversarial``: adversarial changes of features
- ``mmseg_ctt.nn.consistency``: cross-entropy weighted by confidence (``weighted``)
"""

from .segmentor import PSMT

__all__ = ['PSMT']
