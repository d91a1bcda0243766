# Copyright (c) mmseg_ctt contributors.
"""Square windows of maps, some rows of windows at a time."""

from typing import Iterator, NamedTuple, Tuple

import torch.nn.functional as F
from torch import Tensor


class WindowRows(NamedTuple):
    """Some rows of windows of side ``size``, centred at every ``stride``-th pixel from 0.

    ``P`` is the number of their windows in all ``B`` images, in the order of images, rows, columns.
    """

    size: int
    stride: int
    shape: Tuple[int, int]  # rows and columns of windows
    first: int  # rows of the image that they read
    last: int
    padding: Tuple[int, int, int, int]  # left, right, top, bottom, of those rows

    def labels(self, label: Tensor, fill: int) -> Tensor:
        """``(P, size * size)`` values of ``(B, H, W)``; ``fill`` beyond the border."""
        part = F.pad(label[:, self.first : self.last], self.padding, value=fill)
        windows = part.unfold(1, self.size, self.stride).unfold(2, self.size, self.stride)
        return windows.reshape(-1, self.size**2)

    def vectors(self, maps: Tensor) -> Tensor:
        """``(P, size * size, C)`` vectors of ``(B, H, W, C)``; 0 beyond the border."""
        part = F.pad(maps[:, self.first : self.last], (0, 0, *self.padding))
        windows = part.unfold(1, self.size, self.stride).unfold(2, self.size, self.stride)
        return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, self.size**2, maps.shape[3])

    def add_(self, maps: Tensor, vectors: Tensor) -> None:
        """Add vectors of windows to the pixels of ``(B, H, W, C)``: adjoint of :meth:`vectors`."""
        (rows, columns), (left, _, top, _) = self.shape, self.padding
        vectors = vectors.view(len(maps), rows, columns, self.size, self.size, -1)
        part = maps[:, self.first : self.last]
        height, width = part.shape[1:3]
        total = F.pad(part, (0, 0, *self.padding))
        for i in range(self.size):
            for j in range(self.size):
                of_pixel = total[:, i :: self.stride, j :: self.stride][:, :rows, :columns]
                of_pixel += vectors[:, :, :, i, j]
        part.copy_(total[:, top : top + height, left : left + width])


def window_rows(
    shape: Tuple[int, ...], size: int, stride: int, pixels: int
) -> Iterator[WindowRows]:
    """All windows of maps, some rows at a time.

    Args:
        shape (tuple[int]): ``B, H, W``.
        size (int): Side of a window, odd.
        stride (int): Step between centres.
        pixels (int): Pixels of windows held at a time; a single row of windows may have more.
    """
    batch, height, width = shape
    if not batch:
        return
    reach, rows, columns = size // 2, -(-height // stride), -(-width // stride)
    each = max(1, pixels // max(1, batch * columns * size**2))
    right = max(0, (columns - 1) * stride + reach + 1 - width)
    for begin in range(0, rows, each):
        number = min(each, rows - begin)
        first = begin * stride - reach
        last = (begin + number - 1) * stride + reach + 1
        padding = reach, right, max(0, -first), max(0, last - height)
        yield WindowRows(size, stride, (number, columns), max(0, first), min(height, last), padding)
