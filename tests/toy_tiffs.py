# Copyright (c) mmseg_ctt contributors.
"""TIFFs of every kind, with coordinates and without."""

from pathlib import Path
from typing import Any

import numpy as np
from toy_rasters import UTM, rasterio, values_of

from mmseg_ctt.rasters import opened

PLACES = (dict(), dict(crs=UTM, transform=rasterio.Affine(10, 0, 15.0, 0, -10, 48.0)))
TABLE = {k: (60 * k % 256, 250 - k, 40, 255) for k in range(256)}
INSIDE = np.full((32, 48), 255, np.uint8)
INSIDE[:5] = 0
ALPHA = np.concatenate([values_of(3), INSIDE[None]])
TIFFS = dict(
    grey=dict(values=values_of(1)),
    deep=dict(values=values_of(5, dtype='uint16')),
    float=dict(values=values_of(2, dtype='float32')),
    missing=dict(values=values_of(3), nodata=int(values_of(3)[0, 20, 20])),
    mask=dict(values=values_of(3), inside=True),
    alpha=dict(values=ALPHA, photometric='RGB', alpha='YES'),
    table=dict(values=values_of(1), table=TABLE),
    table_missing=dict(values=values_of(1) % 4, nodata=3, table=TABLE),
    table_mask=dict(values=values_of(1), inside=True, table=TABLE),
    small_table=dict(values=values_of(1) % 16, nbits=4, table={k: TABLE[k] for k in range(16)}),
    one_bit=dict(values=values_of(1) % 2, nbits=1),
    twelve_bits=dict(values=values_of(1, dtype='uint16'), nbits=12),
    white=dict(values=values_of(1), photometric='MINISWHITE'),
    deep_white=dict(values=values_of(1, dtype='uint16'), photometric='MINISWHITE'),
    white_mask=dict(values=values_of(1), photometric='MINISWHITE', inside=True),
    ink=dict(values=values_of(4), photometric='CMYK'),
    lossy=dict(values=values_of(3), photometric='YCBCR', compress='jpeg'),
)


def write_tiff(path: Path, values: np.ndarray, inside=False, table=None, **profile: Any) -> None:
    """A TIFF with a mask of its own, or a colour table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = values.shape
    profile.update(count=bands, height=height, width=width, dtype=values.dtype)
    profile.update(photometric='PALETTE') if table else None
    with opened(path, 'w', driver='GTiff', **profile) as file:
        file.write(values)
        file.write_colormap(1, table) if table else None
        file.write_mask(INSIDE) if inside else None
