# Copyright (c) mmseg_ctt contributors.
"""Random resized crops of a batch ("inception crops"), several of each image.

The crops are those of TensorFlow's ``sample_distorted_bounding_box``, which the released code of
S4L uses, without its rounding to whole pixels.
"""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import full_precision


def random_crop_boxes(
    noise: Tensor,
    size: Tensor,
    area: Tuple[float, float] = (0.1, 1.0),
    aspect: Tuple[float, float] = (0.75, 1.33),
) -> Tensor:
    """Random boxes inside images: aspect, height and corner are uniform.

    The height is uniform between that of the smallest area and the largest that fits. An image that
    is too narrow for the smallest area gets the largest box of the aspect that fits.

    Args:
        noise (Tensor): ``(B, V, 4)`` uniform in [0, 1): aspect, height, top, left.
        size (Tensor): ``(B, 2)``, height and width of each image without its padding.
        area (tuple[float, float]): Smallest and largest ratio of the image that a box covers.
            Defaults to (0.1, 1): the released code draws from 0.05 on and rejects what covers less
            than 0.1.
        aspect (tuple[float, float]): Smallest and largest width over height. Defaults to
            (0.75, 1.33) (released code).

    Returns:
        Tensor: ``(B, V, 4)`` float32: top, left, height, width.

    Raises:
        ValueError: If ``area`` or ``aspect`` is no range of positive numbers, or an area above 1.
    """
    for name, (low, high), most in (('area', area, 1.0), ('aspect', aspect, float('inf'))):
        if not 0 < low <= high <= most:
            raise ValueError(f'{name} must be a range (low, high) in (0, {most}], got {low, high}')
    noise, size = noise.float(), size.to(noise.device).float()
    shape, position, *corner = noise.unbind(-1)  # (B, V) each
    height, width = size.unsqueeze(1).unbind(-1)  # (B, 1) each
    ratio = aspect[0] + (aspect[1] - aspect[0]) * shape
    smallest, largest = ((part * height * width / ratio).sqrt() for part in area)
    largest = torch.minimum(torch.minimum(largest, height), width / ratio)
    side = torch.lerp(torch.minimum(smallest, largest), largest, position)
    rows, columns = side, side * ratio
    top, left = corner[0] * (height - rows), corner[1] * (width - columns)
    return torch.stack([top, left, rows, columns], dim=-1).clamp(min=0)


def resized_crops(
    image: Tensor,
    boxes: Tensor,
    size: Tuple[int, int],
    flip: Optional[Tensor] = None,
    padding_mode: str = 'border',
) -> Tensor:
    """Crops of a batch, each resized bilinearly; nothing outside a box is read.

    Equal to cutting a box out and resizing it (``align_corners=False``, no smoothing when a crop is
    made smaller), by one sampling of the whole batch.

    Args:
        image (Tensor): ``(B, C, H, W)``. Receives the gradient.
        boxes (Tensor): ``(B, V, 4)`` top, left, height, width, at least a pixel high and wide.
        size (tuple[int, int]): ``(h, w)`` of the result.
        flip (Tensor, optional): ``(B, V)`` bool, crops that are mirrored left to right. Defaults
            to None: none.
        padding_mode (str): What a box that reaches out of its image has there, as in
            :func:`torch.nn.functional.grid_sample`: 'border' or 'zeros'. Defaults to 'border'.

    Returns:
        Tensor: ``(B, V, C, h, w)`` float32 (float64 for double input).
    """
    image = full_precision(image)
    batch, views = boxes.shape[:2]
    channels, height, width = image.shape[1:]
    boxes = boxes.to(image.dtype)
    top, left, rows, columns = boxes.unsqueeze(-1).unbind(-2)  # (B, V, 1) each
    y, x = _centres(size[0], image), _centres(size[1], image)
    x = x.expand(batch, views, -1)
    if flip is not None:
        x = torch.where(flip.unsqueeze(-1), 1 - x, x)
    y, x = _inside(y, top, rows, height), _inside(x, left, columns, width)
    grid = torch.stack(
        [x.unsqueeze(2).expand(-1, -1, size[0], -1), y.unsqueeze(3).expand(batch, -1, -1, size[1])],
        dim=-1,
    )  # (B, V, h, w, 2)
    with torch.autocast(image.device.type, enabled=False):
        found = F.grid_sample(
            image, grid.flatten(1, 2), padding_mode=padding_mode, align_corners=False
        )
    return found.view(batch, channels, views, *size).transpose(1, 2)


def _centres(side: int, like: Tensor) -> Tensor:
    """``(side,)`` centres of pixels, in [0, 1]."""
    return (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side


def _inside(position: Tensor, start: Tensor, length: Tensor, whole: int) -> Tensor:
    """Positions in a box as those in [-1, 1] of an image, half a pixel away from its edges."""
    end = start + length
    found = (start + position * length).maximum(start + 0.5)
    return found.minimum(torch.maximum(end - 0.5, start + 0.5)) * (2 / whole) - 1
