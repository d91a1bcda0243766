# Copyright (c) mmseg_ctt contributors.
"""Files of a training copy: JPEG, uncompressed BMP, PNG of low compression, or numpy's own."""

import io
from typing import Tuple

import cv2
import numpy as np

JPEG, RAW = 'jpeg', 'raw'
FORMATS = (JPEG, RAW)
ARRAY_SUFFIX = '.array'  # files that end in .npy are volumes
# Level 1 decodes in less than half the time of OpenCV's default, and ids without a filter in two
# thirds of that; versions of OpenCV before 4.12 choose the filter themselves.
PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1]
if hasattr(cv2, 'IMWRITE_PNG_FILTER'):
    PNG_OPTIONS += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]


def encode_image(pixels: np.ndarray, format: str, quality: int) -> Tuple[bytes, str]:
    """File of an image.

    Args:
        pixels (np.ndarray): ``(H, W)`` or ``(H, W, C)``, see :func:`.image_reading.decode_image`.
        format (str): ``'jpeg'`` or ``'raw'``.
        quality (int): Of JPEG, 1 to 100.

    Returns:
        tuple: Its content and suffix: ``.jpg`` or ``.bmp`` for 8 bit and one or three channels;
        ``.array``, without loss, for all others.
    """
    plain = pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2] in (1, 3))
    if not plain:
        return encode_array(pixels), ARRAY_SUFFIX
    if format == JPEG:
        return _encoded('.jpg', pixels, cv2.IMWRITE_JPEG_QUALITY, quality), '.jpg'
    return _encoded('.bmp', pixels), '.bmp'


def encode_mask(ids: np.ndarray, format: str) -> Tuple[bytes, str]:
    """File of a label map or map, without loss.

    Args:
        ids (np.ndarray): ``(H, W)`` uint8 or uint16.
        format (str): ``'jpeg'`` (PNG) or ``'raw'``.
    """
    if format == JPEG:
        return _encoded('.png', ids, *PNG_OPTIONS), '.png'
    return (
        (_encoded('.bmp', ids), '.bmp')
        if ids.dtype == np.uint8
        else (encode_array(ids), ARRAY_SUFFIX)
    )


def encode_array(values: np.ndarray) -> bytes:
    """Array in the format of numpy."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    return buffer.getvalue()


def small_ids(ids: np.ndarray, name: str) -> np.ndarray:
    """Ids of a label map as uint8, or uint16 where 8 bits do not hold them.

    Raises:
        ValueError: If the map is not of one channel, or ids are no integers or negative.
    """
    if ids.ndim != 2 or ids.dtype.kind not in 'biu':
        raise ValueError(
            f'{name} has shape {ids.shape} and holds {ids.dtype}; a label map is one channel of '
            'class ids: convert colour masks with tools/dataset_converters/colour_masks.py'
        )
    low, high = (int(ids.min()), int(ids.max())) if ids.size else (0, 0)
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise ValueError(f'{name} holds ids from {low} to {high}: use ids from 0 to 65535')
    return ids.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16, copy=False)


def _encoded(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    written, content = cv2.imencode(suffix, pixels, list(options))
    assert written, f'OpenCV does not write {suffix}'
    return content.tobytes()
