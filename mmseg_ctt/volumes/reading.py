# Copyright (c) mmseg_ctt contributors.
"""The one reader of volumes: NIfTI, ``.npy``, ``.npz`` and HDF5."""

from functools import cached_property
from pathlib import Path
from typing import Any, Optional, Tuple, Union

import numpy as np

from .address import VOLUME_SUFFIXES
from .formats import Stored, UnreadableVolumeError, open_stored, unreadable

__all__ = [
    'VOLUME_SUFFIXES',
    'UnreadableVolumeError',
    'Volume',
    'check_values',
    'open_volume',
    'read_label',
    'read_volume',
]


class Volume:
    """Volume of a file; its array is read when it is used first.

    Attributes:
        path (str): File, with ``:key`` for an array of a file of several.
        shape (tuple[int, int, int]): ``(X, Y, Z)``, the axes as the file stores them.
        spacing (tuple[float, float, float] | None): Size of a voxel along them in mm, also where a
            NIfTI file has metres or microns; one that does not say its unit has mm. None where the
            format does not say the size.
        affine (np.ndarray | None): float64 ``(4, 4)``, from indices to positions in the unit of
            the file; None where the format has none.
        affine_mm (np.ndarray | None): The same in mm.
        header (Any): Header of nibabel; None for other formats.
        mapped (bool): Whether the array is memory-mapped, not read.
    """

    def __init__(self, path: str, stored: Stored) -> None:
        self.path, self._load, self.mapped = path, stored.load, stored.mapped
        self.shape: Tuple[int, int, int] = _three(path, stored.shape)
        self.spacing: Any = None if stored.spacing is None else tuple(stored.spacing[:3])
        self.affine: Optional[np.ndarray] = stored.affine
        self.affine_mm: Optional[np.ndarray] = None
        if stored.affine is not None:
            self.affine_mm = np.diag([stored.unit] * 3 + [1]) @ stored.affine
        self.header: Any = stored.header

    @cached_property
    def array(self) -> np.ndarray:
        """``(X, Y, Z)`` in the type of the file, float32 where its header scales values.

        Memory-mapped for ``.nii`` and ``.npy``.

        Raises:
            UnreadableVolumeError: If the file is damaged.
            ValueError: If it holds no real numbers.
        """
        try:
            array = self._load()
        except Exception as error:  # each format has errors of its own
            raise unreadable(self.path, error) from None
        if array.dtype.kind not in 'biuf':
            raise ValueError(f'the volume {self.path} holds {array.dtype}, not one number a voxel')
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder('='))
        array = array.view(np.uint8) if array.dtype.kind == 'b' else array
        return array[(slice(None),) * 3 + (0,) * (array.ndim - 3)]


def _three(path: str, shape: Tuple[int, ...]) -> Tuple[int, int, int]:
    """Shape of three axes; further axes must have length 1, and none may be empty."""
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        more = 'write one file a time point or channel' if len(shape) > 3 else 'it is no volume'
        raise ValueError(
            f'the volume {path} has {len(shape)} axes {tuple(shape)}, not the 3 of a volume: {more}'
        )
    if 0 in shape:
        raise ValueError(f'the volume {path} is empty: its shape is {tuple(shape)}')
    x, y, z = (int(size) for size in shape[:3])
    return x, y, z


def open_volume(path: Union[str, Path]) -> Volume:
    """Volume of which the header alone is read.

    Args:
        path (str | Path): ``.nii``, ``.nii.gz``, ``.npy``, ``.npz``, ``.h5`` or ``.hdf5``;
            ``case.h5:image`` names an array of a file of several.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableVolumeError: If its header is damaged.
        ValueError: If it is no volume of three axes, its header gives no spacing, its format is
            not known, or the library of its format is not installed.
    """
    return Volume(str(path), open_stored(str(path)))


def read_volume(path: Union[str, Path]) -> Volume:
    """Image volume whose values have been checked.

    Args:
        path (str | Path): See :func:`open_volume`.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableVolumeError: If the file is damaged.
        ValueError: See :func:`open_volume`; also if values are not finite, or all are equal.
    """
    volume = open_volume(path)
    check_values(volume.array, volume.path)
    return volume


def check_values(array: np.ndarray, name: str) -> None:
    """The values of an image volume are finite and not all equal.

    Args:
        array (np.ndarray): ``(X, Y, Z)``.
        name (str): What messages call the volume.

    Raises:
        ValueError: If they are not.
    """
    low, high = array.min(), array.max()  # NaN and infinity pass through both
    if not (np.isfinite(low) and np.isfinite(high)):
        wrong = int((~np.isfinite(array)).sum())
        raise ValueError(
            f'the volume {name} holds {wrong} values that are not finite: replace NaN and infinity '
            'by numbers, or take it off its list'
        )
    if low == high:
        raise ValueError(
            f'the volume {name} is constant: every voxel is {low:g}. Take it off its list'
        )


def read_label(path: Union[str, Path]) -> Volume:
    """Label volume: ids of classes as integers, also where the file stores them as float.

    Args:
        path (str | Path): See :func:`open_volume`.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableVolumeError: If the file is damaged.
        ValueError: See :func:`open_volume`; also if a value is no whole number.
    """
    volume = open_volume(path)
    volume.array = _whole_numbers(volume.array, volume.path)
    return volume


def _whole_numbers(array: np.ndarray, name: str) -> np.ndarray:
    """Labels of a small integer type; those of integers stay as they are."""
    if array.dtype.kind in 'iu':
        return array
    wrong = ~np.isfinite(array) | (array != np.rint(array))
    if wrong.any():
        raise ValueError(
            f'the label {name} holds {array[wrong][0]:g}, which is no class: labels are the ids '
            '0, 1, 2, ... (was it resampled without nearest neighbour?)'
        )
    small = 0 <= array.min() and array.max() <= np.iinfo(np.uint8).max
    return array.astype(np.uint8 if small else np.int32)
