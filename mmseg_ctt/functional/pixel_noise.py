# Copyright (c) mmseg_ctt contributors.
"""Uniform noise maps made on the device."""

import torch
from torch import Tensor

BITS = 0xFFFFFFFF
STEP, FIRST, SECOND = 0x9E3779B1, 0x7FEB352D, 0x846CA68B


@torch.no_grad()
def pixel_noise(key: Tensor, height: int, width: int) -> Tensor:
    """Uniform noise of every pixel from a single key per image, made on the device.

    A 32-bit integer hash (lowbias32 of C. Wellons) of pixel and key: a sample's numbers depend on
    the sample alone, and none are sent to the device.

    Args:
        key (Tensor): ``(B,)`` float32 in [0, 1); its first 24 bits count.
        height (int): ``H``.
        width (int): ``W``.

    Returns:
        Tensor: ``(B, H, W)`` float32 in [0, 1).
    """
    key = (key * 2**24).long() * STEP
    pixel = torch.arange(height * width, device=key.device)
    value = (pixel + key.unsqueeze(1)) & BITS
    value = ((value ^ value >> 16) * FIRST) & BITS
    value = ((value ^ value >> 15) * SECOND) & BITS
    value = value ^ value >> 16
    return ((value >> 8).float() / 2**24).view(-1, height, width)
