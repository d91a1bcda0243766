# Copyright (c) mmseg_ctt contributors.
"""Regional contrast (ReCo), arXiv 2104.04465.

A mean teacher with ClassMix whose student also contrasts pixels with the mean of their class.

- ``segmentor.py``: the step
- ``contrast.py``: which pixels take part, which of them are queries and negative keys
- ``functional.py``: likeness of classes, the draw of negative classes, the loss
"""

from .segmentor import ReCo

__all__ = ['ReCo']
