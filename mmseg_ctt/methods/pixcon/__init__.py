# Copyright (c) mmseg_ctt contributors.
"""PixCon (arXiv 2607.03068): UniMatch V2, and a contrast of labelled pixels predicted right.

- ``segmentor.py``: the step
- ``contrast.py``: which pixels are anchors and enter the memory, and the projection
- ``functional.py``: the loss
"""

from .segmentor import PixCon

__all__ = ['PixCon']
