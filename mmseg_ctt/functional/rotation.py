# Copyright (c) mmseg_ctt contributors.
"""Square crops and quarter turns of a batch, each image with its own offset and turn."""

import torch
from torch import Tensor


def square_crops(maps: Tensor, side: int, top: Tensor, left: Tensor) -> Tensor:
    """Square crops.

    Args:
        maps (Tensor): ``(B, C, H, W)``.
        side (int): Side of the crops, at most ``min(H, W)``.
        top (Tensor): ``(B,)`` int64, first row of each crop, in ``[0, H - side]``.
        left (Tensor): ``(B,)`` int64, first column, in ``[0, W - side]``.

    Returns:
        Tensor: ``(B, C, side, side)``.

    Raises:
        ValueError: If the maps are smaller than the crops.
    """
    if side > min(maps.shape[2:]):
        raise ValueError(f'side={side} is larger than maps of {tuple(maps.shape[2:])}')
    steps = torch.arange(side, device=maps.device)
    batch = torch.arange(len(maps), device=maps.device).view(-1, 1, 1, 1)
    channels = torch.arange(maps.shape[1], device=maps.device).view(1, -1, 1, 1)
    rows = (top.unsqueeze(1) + steps).view(-1, 1, side, 1)
    columns = (left.unsqueeze(1) + steps).view(-1, 1, 1, side)
    return maps[batch, channels, rows, columns]


def quarter_turns(maps: Tensor, turns: Tensor) -> Tensor:
    """Maps turned counter-clockwise by multiples of 90 degrees, as :func:`numpy.rot90`.

    Args:
        maps (Tensor): ``(B, C, s, s)``.
        turns (Tensor): ``(B,)`` int64 in [0, 3], quarter turns of each image.

    Returns:
        Tensor: ``(B, C, s, s)``.

    Raises:
        ValueError: If the maps are not square.
    """
    if maps.shape[2] != maps.shape[3]:
        raise ValueError(f'only square maps can be turned, got {tuple(maps.shape[2:])}')
    turned = maps
    for k in range(1, 4):
        turned = torch.where((turns == k).view(-1, 1, 1, 1), maps.rot90(k, (2, 3)), turned)
    return turned
