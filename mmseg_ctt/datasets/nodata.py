# Copyright (c) mmseg_ctt contributors.
"""Pixels without data on their way through a pipeline: 0 in the image, ignored by every loss.

A loading step marks them. They become ignored pixels of the label map as it is loaded, and a map of
the sample, which geometric steps move as a mask, for images without labels.
"""

from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np
import torch
from mmengine.structures import PixelData
from PIL import TiffImagePlugin

from ..rasters import filled, read_ids
from .image_reading import decode_image
from .tiff_header import TiffHeader, is_tiff, read_tiff_header
from .tiff_pixels import tiff_pixels

FIELD = 'nodata'  # map of a sample, as large as the image
OF_FILE = 'nodata_of_file'  # the same at the size of the file, for the label map
UNKNOWN = ('int64', 'uint64', 'float16', 'float64')  # to Pillow


def decode_with_nodata(
    content: bytes, name: str, nodata: Optional[float] = None
) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Pixels of an image file, and where its bands have no data.

    Args:
        content (bytes): The file.
        name (str): What messages call it.
        nodata (float, optional): Value of pixels without data, for a file that says none itself.
            Defaults to None: all pixels of such a file have data.

    Returns:
        tuple: Pixels as of :func:`~mmseg_ctt.datasets.image_reading.decode_image`, 0 where they
        have no data, and ``(H, W, C)`` bool in the same order of bands, or None.
    """
    header = read_tiff_header(content) if is_tiff(content) else None
    if header is None:
        return with_value(decode_image(content, name), None, nodata)
    pixels, missing = tiff_pixels(content, header, name)
    return with_value(pixels, missing, None if header.nodata else nodata)


def with_value(
    pixels: np.ndarray, missing: Optional[np.ndarray], nodata: Optional[float]
) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Pixels, 0 where they have no data, if a value of pixels means that as well.

    Args:
        pixels (np.ndarray): ``(H, W)`` or ``(H, W, C)``.
        missing (np.ndarray, optional): ``(H, W, C)`` bool, where they have none otherwise.
        nodata (float, optional): The value.
    """
    if nodata is None:
        return pixels, missing
    values = np.atleast_3d(pixels)
    if not np.isnan(nodata):
        found = values == nodata
    else:  # which is equal to nothing
        found = np.isnan(values) if values.dtype.kind == 'f' else np.zeros(values.shape, bool)
    missing = found if missing is None else missing | found
    return cleared(pixels, missing), missing


def cleared(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """An image with 0 where it has no data.

    Args:
        image (np.ndarray): ``(H, W)`` or ``(H, W, C)``.
        missing (np.ndarray): ``(H, W, D)`` bool; where ``D`` is another number than ``C``, a pixel
            counts where all of them are True.
    """
    given = np.atleast_3d(image)
    where = missing if missing.shape == given.shape else missing.all(2, keepdims=True)
    return np.where(where, image.dtype.type(0), given).reshape(image.shape)


def mark(results: Dict[str, Any], missing: np.ndarray) -> None:
    """Note pixels without data in any band in the results of a pipeline.

    Args:
        results (dict): Of the loading step; changed in place.
        missing (np.ndarray): ``(H, W, C)`` bool.
    """
    whole = missing.all(axis=2)
    if not whole.any():
        return
    results[OF_FILE], results[FIELD] = whole, whole.astype(np.uint8)
    fields = results.setdefault('seg_fields', [])
    if FIELD not in fields:
        fields.append(FIELD)


def ignored(seg_map: np.ndarray, results: Mapping[str, Any], ignore_index: int) -> np.ndarray:
    """A label map whose pixels without data in the image are ignored.

    Args:
        seg_map (np.ndarray): ``(H, W)``, of the size of the file of the image.
        results (Mapping): Of the pipeline so far.
        ignore_index (int): Id of ignored pixels.
    """
    where = results.get(OF_FILE)
    if where is None or where.shape != seg_map.shape:
        return seg_map
    return filled(seg_map, where, ignore_index)


def pack_nodata(packed: Dict[str, Any], results: Mapping[str, Any]) -> Dict[str, Any]:
    """Give a packed sample its map of pixels without data.

    Args:
        packed (dict): From ``PackSegInputs``; changed in place.
        results (Mapping): What was packed.
    """
    where = results.get(FIELD)
    if where is not None:
        data = torch.from_numpy(np.ascontiguousarray(where != 0))
        packed['data_samples'].set_data({FIELD: PixelData(data=data[None])})
    return packed


def is_label_raster(header: TiffHeader) -> bool:
    """Whether a mask is read by rasterio.

    That is one with pixels without data, one of floating point with coordinates, and any that
    Pillow does not read.

    Args:
        header (TiffHeader): Of the file.
    """
    unknown = header.kind in UNKNOWN or header.compression not in TiffImagePlugin.COMPRESSION_INFO
    return header.nodata or unknown or (header.geo and header.kind.startswith('float'))


def label_raster(content: bytes, name: str, ignore_index: int = 255) -> Optional[np.ndarray]:
    """Ids of a mask that rasterio reads.

    Args:
        content (bytes): The file.
        name (str): What messages call it.
        ignore_index (int): Id of ignored pixels. Defaults to 255.

    Returns:
        np.ndarray | None: See :func:`mmseg_ctt.rasters.read_ids`; None for any other mask.
    """
    header = read_tiff_header(content) if is_tiff(content) else None
    if header is None or not is_label_raster(header):
        return None
    return read_ids(content, name, ignore_index)
