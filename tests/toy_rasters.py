# Copyright (c) mmseg_ctt contributors.
"""Small GeoTIFFs for tests."""

from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio', reason='the extra geo is not installed')

UTM, GEOGRAPHIC = 'EPSG:32633', 'EPSG:4326'


def values_of(
    bands: int = 3, size: tuple = (32, 48), dtype: str = 'uint8', seed: int = 0
) -> np.ndarray:
    """Random values ``(bands, H, W)`` from 1 on, in blocks of 8 pixels."""
    high = 250 if dtype == 'uint8' else 4000
    rows, columns = -(-size[0] // 8), -(-size[1] // 8)
    blocks = np.random.RandomState(seed).randint(1, high, (bands, rows, columns))
    return blocks.repeat(8, 1).repeat(8, 2)[:, : size[0], : size[1]].astype(dtype)


def write_raster(
    path: Path,
    values: np.ndarray,
    crs: Optional[str] = UTM,
    nodata: Optional[float] = None,
    **profile: Any,
) -> Path:
    """A GeoTIFF of values ``(bands, H, W)``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    step = 0.0001 if crs == GEOGRAPHIC else 10.0
    bands, height, width = values.shape
    settings = dict(count=bands, height=height, width=width, dtype=values.dtype, nodata=nodata)
    settings.update(crs=crs, transform=rasterio.Affine(step, 0, 15.0, 0, -step, 48.0))
    with rasterio.open(path, 'w', driver='GTiff', **settings, **profile) as file:
        file.write(values)
    return path
