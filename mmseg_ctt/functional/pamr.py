# Copyright (c) mmseg_ctt contributors.
"""Pixel-adaptive refinement of class maps by the colours of the image."""

from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

# of the 3x3 ring around a pixel, without the pixel itself
RING: Tuple[Tuple[int, int], ...] = tuple(
    (dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)
)


@torch.no_grad()
def pamr(
    image: Tensor, maps: Tensor, dilations: Sequence[int] = (1, 2, 4, 8, 12), iterations: int = 10
) -> Tensor:
    """Pixel-adaptive mask refinement, PAMR (Araslanov and Roth, 2020; released code of WILSON).

    Every iteration replaces the maps of a pixel by a weighted mean of those of its neighbours: the
    8 pixels of a 3x3 ring, once for each dilation. The weights are a softmax over all neighbours of
    ``-|I - I_n| / (1e-8 + 0.1 std)``, averaged over the channels, where ``std`` is the unbiased
    standard deviation of the channel over the 3x3 windows of all dilations. The border is
    replicated. The sum over the classes is kept. No gradient.

    The weights take ``8 len(dilations) H W`` floats an image (40 for the defaults: 10 MB at
    256x256), the iterations three times the maps; no map is unfolded.

    Args:
        image (Tensor): ``(B, 3, H, W)``, in [0, 1] (any scale gives the same weights).
        maps (Tensor): ``(B, C, h, w)``, resized to the image bilinearly with aligned corners.
        dilations (Sequence[int]): Distances of the neighbours in pixels.
        iterations (int): Defaults to 10.

    Returns:
        Tensor: ``(B, C, H, W)``, float32 (float64 for double input).

    Raises:
        ValueError: If there is no dilation, if one is below 1, or ``iterations`` is negative.
    """
    if not dilations or min(dilations) < 1:
        raise ValueError(f'dilations must be positive, got {tuple(dilations)}')
    if iterations < 0:
        raise ValueError(f'iterations must not be negative, got {iterations}')
    with torch.autocast(maps.device.type, enabled=False):
        dtype = torch.float64 if maps.dtype == torch.float64 else torch.float32
        image, maps = image.to(dtype), maps.to(dtype)
        maps = F.interpolate(maps, image.shape[2:], mode='bilinear', align_corners=True)
        weight = _neighbour_weights(image, dilations)
        for _ in range(iterations):
            padded = _padded(maps, dilations)
            maps = torch.zeros_like(maps)
            for index, offset in enumerate(_offsets(dilations)):
                maps.addcmul_(_neighbour(padded, offset, dilations), weight[:, index : index + 1])
        return maps


def _neighbour_weights(image: Tensor, dilations: Sequence[int]) -> Tensor:
    """Weights of all neighbours, ``(B, 8 D, H, W)``; their sum over the neighbours is 1."""
    padded = _padded(image, dilations)
    scale = 1e-8 + 0.1 * _window_std(image, padded, dilations)
    logits = [
        -((image - _neighbour(padded, offset, dilations)).abs() / scale).mean(1)
        for offset in _offsets(dilations)
    ]
    return torch.stack(logits, 1).softmax(1)


def _window_std(image: Tensor, padded: Tensor, dilations: Sequence[int]) -> Tensor:
    """Unbiased standard deviation of the windows; each dilation counts the centre once more."""
    samples = 9 * len(dilations)
    offsets = _offsets(dilations)
    total = len(dilations) * image
    for offset in offsets:
        total = total + _neighbour(padded, offset, dilations)
    mean = total / samples
    squares = len(dilations) * (image - mean).square()
    for offset in offsets:
        squares = squares + (_neighbour(padded, offset, dilations) - mean).square()
    return (squares / (samples - 1)).sqrt()


def _offsets(dilations: Sequence[int]) -> Tuple[Tuple[int, int], ...]:
    return tuple((d * dy, d * dx) for d in dilations for dy, dx in RING)


def _padded(maps: Tensor, dilations: Sequence[int]) -> Tensor:
    return F.pad(maps, [max(dilations)] * 4, mode='replicate')


def _neighbour(padded: Tensor, offset: Tuple[int, int], dilations: Sequence[int]) -> Tensor:
    """View of the padded maps in which every pixel is its neighbour at the offset."""
    margin = max(dilations)
    height, width = (size - 2 * margin for size in padded.shape[2:])
    top, left = margin + offset[0], margin + offset[1]
    return padded[:, :, top : top + height, left : left + width]
