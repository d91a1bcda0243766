# Copyright (c) mmseg_ctt contributors.
"""Slices by their address, each one short read of a memory-mapped array.

A volume that is compressed, or whose slices along the plane do not lie one behind the other, is
brought into that form once, in the cache on disk.
"""

from functools import lru_cache
from typing import List, Optional, Tuple, Union

import numpy as np

from .address import Pair, SliceAddress, parse_address
from .cache import cached_array, cached_value, stamp_of
from .intensity import DEFAULT_PERCENTILES, slice_image, value_limits
from .planes import axis_of, num_slices, slice_size
from .reading import Volume, check_values, open_volume, read_label

OPEN = 32  # volumes that a process holds open


def read_slice(address: Union[str, SliceAddress]) -> np.ndarray:
    """Pixels of a slice, see :func:`.intensity.slice_image`.

    Args:
        address (str | SliceAddress): Of a slice of an image volume.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableVolumeError: If it is damaged.
        ValueError: If it is no volume, or its values are not finite or all equal.
        IndexError: If there are fewer slices.
    """
    found = _parsed(address)
    slices = image_slices(found.volume, found.plane)
    limits = _limits(found)
    return slice_image(slices, 'x', found.index, found.context, limits)


def read_label_slice(address: Union[str, SliceAddress]) -> np.ndarray:
    """Label map ``(H, W)`` of a slice, integers as in the file.

    Args:
        address (str | SliceAddress): Of a slice of a label volume.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableVolumeError: If it is damaged.
        ValueError: If it is no volume, or a value is no whole number.
        IndexError: If there are fewer slices.
    """
    found = _parsed(address)
    return slice_image(label_slices(found.volume, found.plane), 'x', found.index)


def slice_shape(address: Union[str, SliceAddress]) -> Tuple[int, int]:
    """Height and width of a slice, from the header of its volume.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no volume.
    """
    found = _parsed(address)
    return slice_size(_shape(found.volume, stamp_of(found.volume)), found.plane)


def image_slices(volume: str, plane: str) -> np.ndarray:
    """All slices ``(N, H, W)`` of an image volume along a plane, memory-mapped.

    Args:
        volume (str): Path of the file, with ``:key`` for an array of several.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.

    Raises:
        ValueError: See :func:`.reading.read_volume`.
    """
    return _image_slices(volume, plane, stamp_of(volume))


def label_slices(volume: str, plane: str) -> np.ndarray:
    """All label maps ``(N, H, W)`` of a label volume along a plane, memory-mapped.

    Args:
        volume (str): Path of the file, with ``:key`` for an array of several.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.

    Raises:
        ValueError: See :func:`.reading.read_label`.
    """
    return _label_slices(volume, plane, stamp_of(volume))


def foreground_slices(volume: str, plane: str, ignore_index: int = 255) -> List[int]:
    """Slices of a label volume that hold an id other than 0 and the ignored one.

    Args:
        volume (str): Path of the file, with ``:key`` for an array of several.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.
        ignore_index (int): Id of ignored voxels. Defaults to 255.
    """

    def find() -> List[int]:
        slices = label_slices(volume, plane)
        return [
            k for k, labels in enumerate(slices) if ((labels != 0) & (labels != ignore_index)).any()
        ]

    return cached_value(volume, f'foreground_{plane}_{ignore_index}', find)


def _parsed(address: Union[str, SliceAddress]) -> SliceAddress:
    found = parse_address(address) if isinstance(address, str) else address
    if found is None:
        raise ValueError(f'{address} is no address of a slice, such as volume.nii.gz#z=041')
    return found


@lru_cache(maxsize=1024)
def _shape(volume: str, stamp: str) -> Tuple[int, int, int]:
    return open_volume(volume).shape


@lru_cache(maxsize=OPEN)
def _image_slices(volume: str, plane: str, stamp: str) -> np.ndarray:
    opened = open_volume(volume)

    def checked() -> np.ndarray:
        check_values(opened.array, volume)
        return _first(opened.array, plane)

    if _is_direct(opened, plane):
        cached_value(volume, 'checked', lambda: checked() is not None)
        return _first(opened.array, plane)
    return cached_array(volume, f'image_{plane}', checked)


@lru_cache(maxsize=OPEN)
def _label_slices(volume: str, plane: str, stamp: str) -> np.ndarray:
    return cached_array(volume, f'label_{plane}', lambda: _first(read_label(volume).array, plane))


def _first(array: np.ndarray, plane: str) -> np.ndarray:
    """The volume with the axis of a plane as its first."""
    return np.moveaxis(array, axis_of(plane), 0)


def _is_direct(volume: Volume, plane: str) -> bool:
    """Whether a slice is one read of the file itself: memory-mapped, slice behind slice."""
    if not volume.mapped:
        return False
    strides = volume.array.strides
    return strides[axis_of(plane)] == max(strides)


def _limits(address: SliceAddress) -> Optional[Pair]:
    """Values of the volume that become 0 and 255; its percentiles are computed once."""
    slices = image_slices(address.volume, address.plane)
    if address.window is not None or (address.percentiles is None and slices.dtype == np.uint8):
        return address.window
    return _percentiles(
        address.volume, address.plane, address.percentiles, stamp_of(address.volume)
    )


@lru_cache(maxsize=1024)
def _percentiles(volume: str, plane: str, percentiles: Optional[Pair], stamp: str) -> Pair:
    low, high = percentiles or DEFAULT_PERCENTILES
    limits = cached_value(
        volume,
        f'limits_{low!r}_{high!r}',
        lambda: value_limits(image_slices(volume, plane), None, percentiles, volume),
    )
    return limits[0], limits[1]


def slices_of(volume: str, plane: str) -> int:
    """Number of slices of a volume, from its header.

    Raises:
        ValueError: If it is no volume.
    """
    return num_slices(_shape(volume, stamp_of(volume)), plane)
