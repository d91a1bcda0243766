# Copyright (c) mmseg_ctt contributors.
from .deeplabv2 import DeepLabV2ASPPHead, DeepLabV2Head

__all__ = ['DeepLabV2ASPPHead', 'DeepLabV2Head']
