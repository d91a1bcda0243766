# Copyright (c) mmseg_ctt contributors.
from .segmentor import GuidedMixNet

__all__ = ['GuidedMixNet']
