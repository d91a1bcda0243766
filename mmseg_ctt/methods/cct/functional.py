# Copyright (c) mmseg_ctt contributors.
"""CCT: boxes of connected objects of a mask, and windows of them that are erased."""

from typing import Tuple

import torch
from torch import Tensor

from ...functional.connected_components import connected_components


@torch.no_grad()
def component_boxes(mask: Tensor, min_pixels: float = 1.0) -> Tuple[Tensor, Tensor]:
    """Bounding boxes of the connected components (8 neighbours) of a batch of masks.

    Args:
        mask (Tensor): ``(B, H, W)`` bool.
        min_pixels (float): Components of fewer pixels have no box. Defaults to 1.

    Returns:
        tuple[Tensor, Tensor]: ``(B, N, 4)`` int64 first column, first row, last column and last
        row, and ``(B, N)`` bool, which of them is a box; ``N = H W``.

    Example:
        >>> boxes, exist = component_boxes(torch.tensor([[[1, 1, 0], [0, 0, 0]]]).bool())
        >>> boxes[exist].tolist()
        [[0, 0, 1, 0]]
    """
    batch, height, width = mask.shape
    number = height * width
    root = connected_components(mask).flatten(1)
    root = root.masked_fill(root < 0, number)  # one more entry takes the pixels of none
    index = torch.arange(number, device=mask.device).expand(batch, -1)
    bounds = []
    for reduce, start in (('amin', number), ('amax', -1)):
        for position in (index % width, index // width):
            bound = index.new_full((batch, number + 1), start)
            bounds.append(bound.scatter_reduce(1, root, position, reduce)[:, :-1])
    pixels = index.new_zeros(batch, number + 1)
    pixels = pixels.scatter_add(1, root, torch.ones_like(index))[:, :-1]
    return torch.stack(bounds, dim=2), pixels >= max(min_pixels, 1)


@torch.no_grad()
def erased_windows(
    boxes: Tensor, exist: Tensor, noise: Tensor, ratio: float, size: Tuple[int, int]
) -> Tensor:
    """A random window of each box (guided cut-out of CCT).

    Sides of the window are ``ratio`` times those of the box, rounded down; a side of a box is the
    difference of its last and its first position (released code).

    Args:
        boxes (Tensor): ``(B, N, 4)`` int64, see :func:`component_boxes`.
        exist (Tensor): ``(B, N)`` bool, boxes that count.
        noise (Tensor): ``(B, N, 2)`` in [0, 1), position of the window: column, row.
        ratio (float): In [0, 1].
        size (tuple[int, int]): ``(H, W)``.

    Returns:
        Tensor: ``(B, H, W)`` bool, True inside of windows.
    """
    height, width = size
    first, last = boxes.split(2, dim=2)  # column, row
    side = (last - first).clamp(min=0).double()
    room = (side * (1 - ratio)).floor()
    start = first + torch.minimum((noise * (room + 1)).floor(), room).long()
    stop = start + (side * ratio).floor().long()
    # +1 and -1 at the corners, summed along rows and columns, count the windows over each pixel
    corners = boxes.new_zeros(len(boxes), (height + 1) * (width + 1))
    for columns, column_sign in ((start[..., 0], 1), (stop[..., 0], -1)):
        for rows, row_sign in ((start[..., 1], 1), (stop[..., 1], -1)):
            corner = (rows * (width + 1) + columns).masked_fill(~exist, 0)
            corners.scatter_add_(1, corner, exist.long() * (column_sign * row_sign))
    count = corners.view(-1, height + 1, width + 1).cumsum(1).cumsum(2)
    return count[:, :height, :width] > 0
