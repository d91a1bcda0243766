# Copyright (c) mmseg_ctt contributors.
"""Georeferenced rasters (GeoTIFF) through rasterio: reading, windows, statistics, writing."""

from .bands import BandStatistics, band_statistics
from .library import UnreadableRasterError, opened, rasterio_library
from .reading import Pixels, decode_raster, filled, has_mask, read_ids, read_window
from .writing import MapFile, finish_map

__all__ = [
    'BandStatistics',
    'MapFile',
    'Pixels',
    'UnreadableRasterError',
    'band_statistics',
    'decode_raster',
    'filled',
    'finish_map',
    'has_mask',
    'opened',
    'rasterio_library',
    'read_ids',
    'read_window',
]
