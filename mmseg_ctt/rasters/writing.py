# Copyright (c) mmseg_ctt contributors.
"""Maps with the georeference of a raster, written window by window."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence

import numpy as np

from .library import opened, rasterio_library

BLOCK = 256  # side of the tiles inside a written file


class MapFile(NamedTuple):
    """A raster that is written: the grid of another one, and bands of its own.

    Attributes:
        path (Path): Of the file.
        like (str): Raster that gives size, coordinate system, and transform or control points.
        dtype (str): Such as ``'uint8'``.
        bands (int): Number of bands.
        nodata (float | None): Value of pixels without data.
        palette (Sequence[Sequence[int]] | None): RGB in 0-255 of each value, for one band of uint8.
        names (Sequence[str]): Descriptions of the bands. Defaults to ().
    """

    path: Path
    like: str
    dtype: str
    bands: int = 1
    nodata: Optional[float] = None
    palette: Optional[Sequence[Sequence[int]]] = None
    names: Sequence[str] = ()

    def create(self) -> None:
        """Make the file, uncompressed and filled with ``nodata``, so that it can be rewritten."""
        with opened(self.like) as source:
            profile = self._profile(source)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with opened(self.path, 'w', **profile) as made:
            if self.palette is not None:
                colours = {k: (*map(int, colour), 255) for k, colour in enumerate(self.palette)}
                made.write_colormap(1, colours)
            for band, name in enumerate(self.names, 1):
                made.set_band_description(band, name)

    def _profile(self, source: Any) -> Dict[str, Any]:
        profile = dict(
            driver='GTiff',
            width=source.width,
            height=source.height,
            count=self.bands,
            dtype=self.dtype,
            crs=source.crs,
            transform=source.transform,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            BIGTIFF='IF_SAFER',
        )
        points, system = source.gcps
        if points:  # of images that are not yet warped to a grid
            del profile['transform']
            profile.update(gcps=points, crs=system)
        if self.nodata is not None:
            profile['nodata'] = self.nodata
        return profile

    def write(self, values: np.ndarray, row: int, column: int) -> None:
        """Write a window and close the file, so that a stopped run has it.

        Args:
            values (np.ndarray): ``(bands, h, w)``.
            row (int): First row of the window.
            column (int): First column of the window.
        """
        windows = rasterio_library().windows
        height, width = values.shape[1:]
        with opened(self.path, 'r+') as file:
            file.write(values, window=windows.Window(column, row, width, height))


def finish_map(partial: Path, final: Path) -> None:
    """Compress a written raster into its place, block by block.

    Args:
        partial (Path): Of :class:`MapFile`; removed.
        final (Path): Appears whole.
    """
    rasterio_library()  # its absence is an error of its own
    copy = import_module('rasterio.shutil').copy
    made = partial.with_name(f'{partial.name}.deflate')
    with opened(partial) as source:
        settings = dict(compress='deflate', tiled=True, blockxsize=BLOCK, blockysize=BLOCK)
        copy(source, made, driver='GTiff', BIGTIFF='IF_SAFER', **settings)
    os.replace(made, final)
    for rest in (partial, made):
        for path in (rest, rest.with_name(f'{rest.name}.aux.xml')):
            path.unlink(missing_ok=True)
