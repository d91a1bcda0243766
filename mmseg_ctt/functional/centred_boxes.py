# Copyright (c) mmseg_ctt contributors.
"""Boxes around random centres, cut off at the borders of the image (CutMix)."""

from typing import Tuple

import torch
from torch import Tensor


def random_centres(size: Tuple[int, int], uniform: Tensor, lowest: float = 0.0) -> Tensor:
    """Pixels in which boxes are centred.

    Args:
        size (tuple[int, int]): ``(H, W)``.
        uniform (Tensor): ``(B, 2)`` in [0, 1).
        lowest (float): Part of each side, from the upper left corner, that has no centres.
            Defaults to 0.

    Returns:
        Tensor: ``(B, 2)`` row and column, whole numbers of the dtype of ``uniform``.
    """
    rows, columns = (
        int(side * lowest) + (uniform[:, axis] * (side - int(side * lowest))).floor()
        for axis, side in enumerate(size)
    )
    return torch.stack([rows, columns], dim=1)


def centred_box_mask(size: Tuple[int, int], fraction: Tensor, centre: Tensor) -> Tensor:
    """True in a box around the centre of each image; what lies outside the image is lost.

    A side of ``floor(fraction * side)`` pixels reaches half of them, rounded down, to either end.

    Args:
        size (tuple[int, int]): ``(H, W)``.
        fraction (Tensor): ``(B,)`` in [0, 1], of both sides of the image.
        centre (Tensor): ``(B, 2)`` row and column, whole numbers.

    Returns:
        Tensor: ``(B, H, W)`` bool.
    """
    rows, columns = (
        _around(side, (fraction * side).floor() // 2, centre[:, axis])
        for axis, side in enumerate(size)
    )
    return rows.unsqueeze(2) & columns.unsqueeze(1)


def _around(side: int, half: Tensor, centre: Tensor) -> Tensor:
    """``(B, side)`` bool."""
    cell = torch.arange(side, device=centre.device)
    half, centre = half.unsqueeze(1), centre.unsqueeze(1)
    return (cell >= centre - half) & (cell < centre + half)
