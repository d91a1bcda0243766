# Copyright (c) mmseg_ctt contributors.
"""Foundation models: networks of timm as backbones, and decode heads for them."""

from .backbone import FoundationBackbone
from .dpt_head import LightDPTHead
from .linear_head import LinearHead

__all__ = ['FoundationBackbone', 'LightDPTHead', 'LinearHead']
