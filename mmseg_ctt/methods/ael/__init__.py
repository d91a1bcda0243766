# Copyright (c) mmseg_ctt contributors.
from .segmentor import AEL

__all__ = ['AEL']
