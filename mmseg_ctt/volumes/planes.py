# Copyright (c) mmseg_ctt contributors.
"""Planes of a volume: its axes x, y and z, and the slices along each."""

from typing import Optional, Sequence, Tuple

import numpy as np

PLANES = ('x', 'y', 'z')


def axis_of(plane: str) -> int:
    """Axis that the slices of a plane are counted along.

    Args:
        plane (str): ``'x'``, ``'y'`` or ``'z'``.

    Raises:
        ValueError: If it is none of them.
    """
    if plane not in PLANES:
        raise ValueError(f"plane must be 'x', 'y' or 'z', got {plane!r}")
    return PLANES.index(plane)


def num_slices(shape: Sequence[int], plane: str) -> int:
    """Number of slices of a volume.

    Args:
        shape (Sequence[int]): ``(X, Y, Z)``.
        plane (str): See :func:`axis_of`.
    """
    return int(shape[axis_of(plane)])


def slice_size(shape: Sequence[int], plane: str) -> Tuple[int, int]:
    """Height and width of the slices of a volume: its two other axes, in order.

    Args:
        shape (Sequence[int]): ``(X, Y, Z)``.
        plane (str): See :func:`axis_of`.
    """
    height, width = (int(size) for k, size in enumerate(shape) if k != axis_of(plane))
    return height, width


def slice_spacing(spacing: Optional[Sequence[float]], plane: str) -> Optional[Tuple[float, float]]:
    """Height and width of a pixel of a slice, in the unit of ``spacing``.

    Args:
        spacing (Sequence[float], optional): ``(3,)``, size of a voxel; None where it is not known.
        plane (str): See :func:`axis_of`.
    """
    if spacing is None:
        return None
    height, width = (float(size) for k, size in enumerate(spacing) if k != axis_of(plane))
    return height, width


def take_slice(array: np.ndarray, plane: str, index: int) -> np.ndarray:
    """Slice of a volume: its two other axes, in order.

    Args:
        array (np.ndarray): ``(X, Y, Z)``.
        plane (str): See :func:`axis_of`.
        index (int): From 0.

    Returns:
        np.ndarray: View ``(H, W)``; ``array[:, :, index]`` for plane ``z``.

    Raises:
        ValueError: If there is no such plane.
        IndexError: If there are fewer slices.
    """
    number = num_slices(array.shape, plane)
    if not 0 <= index < number:
        raise IndexError(f'slice {index} of {number} along {plane}')
    return np.moveaxis(array, axis_of(plane), 0)[index]


def stack_slices(slices: Sequence[np.ndarray], plane: str) -> np.ndarray:
    """Volume of all slices along a plane, the inverse of :func:`take_slice`.

    Args:
        slices (Sequence[np.ndarray]): ``(H, W)`` each, in order.
        plane (str): See :func:`axis_of`.

    Returns:
        np.ndarray: ``(X, Y, Z)``.
    """
    return np.stack(list(slices), axis=axis_of(plane))
