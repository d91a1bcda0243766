# Copyright (c) mmseg_ctt contributors.
"""Pixels of rasters, and which of them have no data."""

import warnings
from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np

from .library import UnreadableRasterError, rasterio_library

IGNORED = 255  # id of ignored pixels where nothing else is set


class Pixels(NamedTuple):
    """Values of a raster or of a window of it.

    Attributes:
        values (np.ndarray): ``(H, W, C)`` in the type of the file, bands in the order of the file;
            0 where a band has no data.
        missing (np.ndarray | None): ``(H, W, C)`` bool, True where a band has no data; None where
            all have. Where the file's own mask, or its alpha band, leaves a pixel out, all bands.
    """

    values: np.ndarray
    missing: Optional[np.ndarray]


def decode_raster(content: bytes, name: str) -> Pixels:
    """Pixels of a whole raster.

    Args:
        content (bytes): The file.
        name (str): What messages call it.

    Raises:
        UnreadableRasterError: If the file is damaged.
        ValueError: If rasterio is not installed.
    """
    rasterio = rasterio_library()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        try:
            with rasterio.MemoryFile(content) as file, file.open() as dataset:
                return read_window(dataset)
        except rasterio.errors.RasterioError as error:
            raise UnreadableRasterError(f'cannot decode image {name}: {error}') from None


def read_window(dataset: Any, window: Any = None, size: Optional[Tuple[int, int]] = None) -> Pixels:
    """Pixels of a window of an open raster.

    Args:
        dataset (rasterio.DatasetReader): See :func:`mmseg_ctt.rasters.opened`.
        window (rasterio.windows.Window, optional): Defaults to None: all of it.
        size (tuple[int, int], optional): Height and width of the result, whose pixels are some of
            the window. Defaults to None: all pixels.
    """
    given: Dict[str, Any] = dict(window=window)
    of_bands = dict(given, out_shape=(dataset.count, *size)) if size else given
    values = dataset.read(**of_bands)  # (C, H, W)
    missing = dataset.read_masks(**of_bands) == 0
    missing |= (dataset.dataset_mask(**(dict(given, out_shape=size) if size else given)) == 0)[None]
    if values.dtype.kind == 'f':
        missing |= ~np.isfinite(values)
    if not missing.any():
        return Pixels(np.ascontiguousarray(values.transpose(1, 2, 0)), None)
    values = np.where(missing, values.dtype.type(0), values)
    return Pixels(np.ascontiguousarray(values.transpose(1, 2, 0)), missing.transpose(1, 2, 0))


def has_mask(dataset: Any) -> bool:
    """Whether an open raster has a mask of its own, neither an alpha band nor a value.

    Args:
        dataset (rasterio.DatasetReader): The raster.
    """
    flags = rasterio_library().enums.MaskFlags
    return any(
        flags.per_dataset in of_band and flags.alpha not in of_band
        for of_band in dataset.mask_flag_enums
    )


def filled(ids: np.ndarray, where: np.ndarray, value: int) -> np.ndarray:
    """Ids with one value in some places; int64 where their type does not have it.

    Args:
        ids (np.ndarray): Integers of any shape; not changed.
        where (np.ndarray): Bool of the same shape.
        value (int): The value.
    """
    known = np.iinfo(ids.dtype)
    wide = ids if known.min <= value <= known.max else ids.astype(np.int64)
    return np.where(where, wide.dtype.type(value), wide)


def read_ids(content: bytes, name: str, ignore_index: int = IGNORED) -> np.ndarray:
    """Class ids of a mask that is a raster; pixels without data are ignored.

    Whole numbers of a floating-point type, as drawing programs write them, are ids as well.

    Args:
        content (bytes): The file.
        name (str): What messages call it.
        ignore_index (int): Id of ignored pixels. Defaults to 255.

    Returns:
        np.ndarray: ``(H, W)``, or ``(H, W, C)`` for a mask of several bands.

    Raises:
        ValueError: If rasterio is not installed, or the file is damaged.
    """
    values, missing = decode_raster(content, name)
    if values.shape[2] > 1:
        return values
    ids = values[..., 0]
    if ids.dtype == np.uint64 or (ids.dtype.kind == 'f' and (ids == np.rint(ids)).all()):
        ids = ids.astype(np.int64)
    if missing is None or ids.dtype.kind == 'f':
        return ids
    return filled(ids, missing[..., 0], ignore_index)
