# Copyright (c) mmseg_ctt contributors.
"""Volumes: reading and writing them, their slices along a plane, intensities.

Slices are taken along the axes of the array as the file stores it; nothing is turned or resampled.
Plane ``z`` fixes the third axis, so that an image of it has the axes x (down) and y (right).
"""

from .address import SliceAddress, is_address, parse_address, volume_stem
from .intensity import slice_image, value_limits
from .pairs import check_geometry, check_pair
from .planes import PLANES, num_slices, slice_spacing, stack_slices, take_slice
from .reading import VOLUME_SUFFIXES, Volume, open_volume, read_label, read_volume
from .slices import read_label_slice, read_slice
from .writing import write_volume

__all__ = [
    'PLANES',
    'VOLUME_SUFFIXES',
    'SliceAddress',
    'Volume',
    'check_geometry',
    'check_pair',
    'is_address',
    'num_slices',
    'open_volume',
    'parse_address',
    'read_label',
    'read_label_slice',
    'read_slice',
    'read_volume',
    'slice_image',
    'slice_spacing',
    'stack_slices',
    'take_slice',
    'value_limits',
    'volume_stem',
    'write_volume',
]
