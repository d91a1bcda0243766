# Copyright (c) mmseg_ctt contributors.
"""rasterio, imported where it is used, and files opened by it."""

import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Iterator, Union

from ..volumes.libraries import optional_library

CACHE = 64 * 2**20  # bytes of blocks that GDAL keeps; its default is a part of the machine's memory


class UnreadableRasterError(ValueError):
    """A raster is damaged, or no raster."""


def rasterio_library() -> Any:
    """The module ``rasterio``.

    Raises:
        ValueError: If it is not installed; says how to install it.
    """
    return optional_library('rasterio', 'GeoTIFFs', 'geo')


def has_rasterio() -> bool:
    """Whether rasterio is installed."""
    return find_spec('rasterio') is not None


@contextmanager
def opened(path: Union[str, Path], mode: str = 'r', **profile: Any) -> Iterator[Any]:
    """A raster of rasterio, with a block cache of fixed size.

    A raster without georeference is opened without a warning.

    Args:
        path (str | Path): Of the file.
        mode (str): ``'r'``, ``'r+'`` or ``'w'``. Defaults to 'r'.
        profile: See ``rasterio.open``.

    Yields:
        rasterio.DatasetReader | rasterio.DatasetWriter: The open file.

    Raises:
        UnreadableRasterError: If the file is no raster.
        OSError: If it cannot be written.
        ValueError: If rasterio is not installed.
    """
    rasterio = rasterio_library()
    settings = dict(GDAL_CACHEMAX=CACHE, GDAL_TIFF_INTERNAL_MASK=True)  # no masks beside the files
    with warnings.catch_warnings(), rasterio.Env(**settings):
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(path, mode, **profile)
        except rasterio.errors.RasterioIOError as error:
            if mode != 'r':
                raise OSError(f'the raster {path} cannot be written: {error}') from None
            raise UnreadableRasterError(f'the raster {path} cannot be opened: {error}') from None
        with dataset:
            yield dataset
