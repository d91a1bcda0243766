# Copyright (c) mmseg_ctt contributors.
"""Pixels of TIFF files of every kind, and where their bands have no data."""

import io

import cv2
import numpy as np

from ..rasters.library import UnreadableRasterError, has_rasterio
from ..rasters.reading import Pixels, decode_raster
from .image_decoders import (
    UnreadableImageError,
    by_opencv,
    by_pillow,
    needs_pillow,
    opened_header,
    raw_mode,
    swapped,
    turned,
)
from .tiff_header import CMYK, PALETTE, TiffHeader, is_raster, without_orientation

WHITE_IS_ZERO, YCBCR = 0, 6  # values of the tag of the interpretation, as CMYK and PALETTE
CV_BANDS = (1, 3, 4)  # numbers of bands that OpenCV has types for


def tiff_pixels(content: bytes, header: TiffHeader, name: str) -> Pixels:
    """Pixels of a TIFF file as a viewer shows them, bands in OpenCV's order.

    Args:
        content (bytes): The file.
        header (TiffHeader): Of the file.
        name (str): What messages call it.

    Returns:
        Pixels: ``(H, W)`` or ``(H, W, C)``, and where they have no data.

    Raises:
        UnreadableImageError: If it cannot be decoded.
        ValueError: If some of its bands or pages would be lost, or the library that reads it is not
            installed.
    """
    raster = None
    # a GeoTIFF has its coordinates by the pixels as stored
    orientation = 1 if header.geo else header.orientation
    if header.nodata or is_raster(header, has_rasterio()):
        try:
            raster = decode_raster(content, name)
        except UnreadableRasterError as error:
            raise UnreadableImageError(str(error)) from None
    if raster is not None and is_raster(header, has_rasterio()):
        missing = raster.missing
        values = turned(swapped(raster.values), orientation)
        return Pixels(values, None if missing is None else turned(swapped(missing), orientation))
    pixels = _decode_tiff(without_orientation(content, header), header, name)
    values = turned(pixels, header.orientation)
    if raster is None or raster.missing is None:
        return Pixels(values, None)
    # samples are no bands here: what has no data is a pixel
    whole = turned(np.all(raster.missing, axis=2), header.orientation)
    missing = np.repeat(whole[..., None], np.atleast_3d(values).shape[2], axis=2)
    return Pixels(np.where(missing.reshape(values.shape), values.dtype.type(0), values), missing)


def _decode_tiff(content: bytes, header: TiffHeader, name: str) -> np.ndarray:
    """Pixels as stored: by Pillow or OpenCV, whichever reads every band, else by tifffile."""
    if header.pages > 1:
        raise ValueError(
            f'the image {name} has {header.pages} pages of one size: write them as bands of one '
            'page, or as one file each'
        )
    mixed = header.photometric in (CMYK, PALETTE, YCBCR)  # samples are no bands
    if _opencv_reads(header) and (mixed or header.bands in CV_BANDS or header.bands == 2):
        opened = opened_header(content)
        if opened is not None and needs_pillow(opened) and raw_mode(opened) == opened.mode:
            pixels = by_pillow(opened)
        else:
            pixels = by_opencv(content, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise UnreadableImageError(f'cannot decode image {name}')
        if mixed or header.bands == (pixels.shape[2] if pixels.ndim == 3 else 1):
            return _positive(pixels, header)
    return _positive(_by_tifffile(content, header, name), header)


def _opencv_reads(header: TiffHeader) -> bool:
    """Whether OpenCV, or Pillow, gives the numbers of a type as they are.

    OpenCV does not know float16, and mixes four bands of int8.
    """
    if header.kind == 'float16' or (header.kind == 'int8' and header.bands == 4):
        return False
    return header.bands != 2 or header.kind == 'uint8'


def _positive(pixels: np.ndarray, header: TiffHeader) -> np.ndarray:
    """Pixels whose 0 is black: OpenCV inverts those of 8 bit alone."""
    inverted = header.photometric == WHITE_IS_ZERO and header.bands == 1
    if not inverted or pixels.dtype.kind != 'u' or pixels.dtype == np.uint8:
        return pixels
    return np.iinfo(pixels.dtype).max - pixels


def _by_tifffile(content: bytes, header: TiffHeader, name: str) -> np.ndarray:
    """Pixels by tifffile, which is no requirement of this package."""
    try:
        import tifffile
    except ModuleNotFoundError:
        raise ValueError(
            f'the image {name} has {header.bands} bands of {header.kind}, not all of which OpenCV '
            'and Pillow read: pip install tifffile'
            + (", or 'mmseg_ctt[geo]'" if header.geo else '')
        ) from None
    try:
        pixels = tifffile.imread(io.BytesIO(content), key=0)
    except Exception:  # tifffile's errors for damaged files
        raise UnreadableImageError(f'cannot decode image {name}') from None
    if pixels.ndim == 3 and pixels.shape[1:] == header.size:  # bands stored one after another
        pixels = pixels.transpose(1, 2, 0)
    return swapped(pixels)
