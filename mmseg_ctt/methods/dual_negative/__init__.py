# Copyright (c) mmseg_ctt contributors.
from .segmentor import DualNegativeLabel

__all__ = ['DualNegativeLabel']
