# Copyright (c) mmseg_ctt contributors.
"""Context-aware consistency (CAC), arXiv 2106.14133.

A student contrasts the pixels that two overlapping crops of an image share: the less confident crop
goes to the more confident one.

- ``segmentor.py``: the step
- ``crops.py``: the two crops of each image
- ``contrast.py``: which pixels are pulled to which, and the projection
- ``bank.py``: features of the last steps, the negatives
- ``functional.py``: windows, matching pixels, the loss of a pixel
"""

from .segmentor import ContextAwareConsistency

__all__ = ['ContextAwareConsistency']
