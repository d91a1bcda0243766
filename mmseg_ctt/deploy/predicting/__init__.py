# Copyright (c) mmseg_ctt contributors.
"""Predictions of folders, videos and large rasters into a folder, resumable."""

from .items import VIDEO_SUFFIXES, Item, check_beside, find_items
from .run import Options, predict_items
from .tiles import tile_starts, tile_weight

__all__ = [
    'VIDEO_SUFFIXES',
    'Item',
    'Options',
    'check_beside',
    'find_items',
    'predict_items',
    'tile_starts',
    'tile_weight',
]
