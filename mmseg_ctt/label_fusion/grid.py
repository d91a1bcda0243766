# Copyright (c) mmseg_ctt contributors.
"""Neighbouring pixels and voxels of a regular grid."""

from itertools import product
from typing import Iterator, NamedTuple, Optional, Sequence, Tuple

import numpy as np

Slices = Tuple[slice, ...]
NEIGHBOURS = {2: (4, 8), 3: (6,)}  # by number of dimensions; the first one is the default
Offset = Tuple[int, ...]


class NeighbourPairs(NamedTuple):
    """All pairs of neighbours along one offset.

    Attributes:
        first (tuple[slice]): The pixels.
        second (tuple[slice]): Their neighbours.
        distance (float): Between the two, in units of the smallest spacing.
    """

    first: Slices
    second: Slices
    distance: float


def neighbour_pairs(
    shape: Sequence[int],
    neighbours: Optional[int] = None,
    spacing: Optional[Sequence[float]] = None,
) -> Iterator[NeighbourPairs]:
    """Pairs of neighbours, each pair once.

    Args:
        shape (Sequence[int]): Of the image or volume.
        neighbours (int, optional): 4 or 8 in an image, 6 in a volume. Defaults to None: 4 or 6.
        spacing (Sequence[float], optional): Of the pixels along each axis. Defaults to None: 1.

    Raises:
        ValueError: For another number of dimensions or neighbours, or a wrong spacing.
    """
    ndim = len(shape)
    if ndim not in NEIGHBOURS:
        raise ValueError(f'shape {tuple(shape)} is neither an image nor a volume')
    known = NEIGHBOURS[ndim]
    if neighbours is not None and neighbours not in known:
        raise ValueError(f'neighbours={neighbours} must be one of {known} in {ndim} dimensions')
    steps = relative_spacing(ndim, spacing)
    for offset in _offsets(ndim, diagonal=neighbours == 8):
        first = tuple(slice(max(0, -step), min(0, -step) or None) for step in offset)
        second = tuple(slice(max(0, step), min(0, step) or None) for step in offset)
        yield NeighbourPairs(first, second, float(np.hypot.reduce(np.multiply(offset, steps))))


def relative_spacing(ndim: int, spacing: Optional[Sequence[float]]) -> np.ndarray:
    """Spacing along each axis in units of the smallest one.

    Raises:
        ValueError: If it has not a positive number for each axis.
    """
    if spacing is None:
        return np.ones(ndim)
    steps = np.asarray(spacing, np.float64)
    if steps.shape != (ndim,) or not (steps > 0).all():
        raise ValueError(f'spacing={spacing!r} must be {ndim} positive numbers')
    return steps / steps.min()


def _offsets(ndim: int, diagonal: bool) -> Iterator[Offset]:
    for offset in product((-1, 0, 1), repeat=ndim):
        if offset > (0,) * ndim and (diagonal or np.count_nonzero(offset) == 1):
            yield offset
