# Copyright (c) mmseg_ctt contributors.
from .segmentor import U2PL

__all__ = ['U2PL']
