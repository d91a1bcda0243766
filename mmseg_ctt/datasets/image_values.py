# Copyright (c) mmseg_ctt contributors.
"""Values and channels of images: what networks take, and what pictures show."""

from typing import Any, Optional, Tuple, Union

import cv2
import numpy as np

from ..volumes.address import is_address
from .image_reading import read_image, swapped

COLOR_TYPES = ('color', 'grayscale', 'unchanged')
NOT_FINITE = ('nan', 'inf', '-inf')
KEY = 'image_loading'
ValueRange = Tuple[float, float]


def check_color_type(value: Any) -> None:
    """Check a ``color_type``.

    Raises:
        ValueError: If it is none of :data:`COLOR_TYPES`.
    """
    if value in COLOR_TYPES:
        return
    advice = ''
    if str(value).endswith('_ignore_orientation'):
        advice = '; images are turned as their orientation tag says: remove the tag from the files'
    raise ValueError(f'{KEY}.color_type must be one of {COLOR_TYPES}, got {value!r}{advice}')


def check_value_range(value: Any) -> Optional[ValueRange]:
    """A ``value_range`` as a pair of numbers; None where it is None.

    Raises:
        ValueError: If it is no pair of rising numbers.
    """
    if value is None:
        return None
    try:
        low, high = (float(number) for number in value)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f'{KEY}.value_range must be a pair of rising numbers such as (0, 4095), got {value!r}'
        )
    return low, high


def check_nodata(value: Any) -> Union[float, str, None]:
    """A ``nodata`` as a number; None where it is None.

    Returns:
        float | str | None: ``'nan'``, ``'inf'`` and ``'-inf'`` stay texts, and floats of these
        values become texts: a config that was written to a file could not be read with them.

    Raises:
        ValueError: If it is no number.
    """
    if value is None or value in NOT_FINITE:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(
            f'{KEY}.nodata must be the value of pixels without data, a number or one of '
            f'{NOT_FINITE}, got {value!r}'
        )
    return float(value) if np.isfinite(value) else str(float(value))


def range_of(path: str, value_range: Optional[ValueRange]) -> Optional[ValueRange]:
    """``value_range`` for an image; 0 and 255 for a slice, whose values have been mapped.

    Args:
        path (str): Path of an image, or address of a slice.
        value_range (tuple[float, float], optional): Setting for image files.

    Raises:
        ValueError: If it is set for a slice.
    """
    if not is_address(path):
        return value_range
    if value_range is not None:
        raise ValueError(
            f'{KEY}.value_range is for image files, {path} is a slice: set window or percentiles '
            'of its data set'
        )
    return 0.0, 255.0


def to_input(
    pixels: np.ndarray, color_type: str, value_range: Optional[ValueRange], name: str
) -> np.ndarray:
    """Pixels as a pipeline takes them.

    Args:
        pixels (np.ndarray): ``(H, W)`` or ``(H, W, C)``, see :func:`.image_reading.decode_image`.
        color_type (str): ``'color'``: blue, green, red; ``'grayscale'``: one channel;
            ``'unchanged'``: those of the file. The first two leave out a second channel next to
            grey and a fourth next to colours, which is alpha.
        value_range (tuple[float, float], optional): See :func:`scaled`.
        name (str): What messages call the image.

    Returns:
        np.ndarray: ``(H, W, 3)``, ``(H, W)`` or that of the file; uint8, or float32 in 0-255.

    Raises:
        ValueError: If the image is not of 8 bit and there is no ``value_range``, or has more than
            four channels and is to become three or one.
    """
    pixels = scaled(pixels, value_range, name)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if color_type == 'unchanged':
        return np.ascontiguousarray(pixels)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels > 4:
        raise ValueError(
            f'the image {name} has {channels} channels, which do not fit color_type='
            f"{color_type!r}: set {KEY}.color_type='unchanged', and in_channels of the backbone, "
            'mean and std of the data preprocessor for them'
        )
    if channels == 2:
        pixels, channels = pixels[..., 0], 1
    colours = np.ascontiguousarray(pixels if channels == 1 else pixels[..., :3])
    if color_type == 'grayscale':
        return colours if channels == 1 else cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(colours, cv2.COLOR_GRAY2BGR) if channels == 1 else colours


def scaled(pixels: np.ndarray, value_range: Optional[ValueRange], name: str) -> np.ndarray:
    """Values in 0-255: those of 8 bit as they are, others as ``value_range`` says.

    Args:
        pixels (np.ndarray): Of any shape.
        value_range (tuple[float, float], optional): Values that become 0 and 255; values beyond
            are clipped. Nothing is rounded.
        name (str): What messages call the image.

    Returns:
        np.ndarray: uint8, or float32.

    Raises:
        ValueError: If the values are not of 8 bit and there is no ``value_range``, or are no
            numbers.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind not in 'iuf':
        raise ValueError(f'the image {name} holds {pixels.dtype}: give uint8 in 0-255')
    if pixels.dtype.kind == 'f' and not np.isfinite(pixels).all():
        raise ValueError(f'the image {name} holds values that are not finite')
    low, high = (pixels.min(), pixels.max()) if pixels.size else (0, 0)
    if value_range is None:
        raise ValueError(
            f'the image {name} is not of 8 bit: it holds {pixels.dtype} from {low:g} to {high:g}. '
            f'Set {KEY}.value_range to the values that become 0 and 255, such as '
            f'{_example(pixels.dtype.kind, float(low), float(high))}, or convert the images'
        )
    start, end = value_range
    return ((pixels.astype(np.float32) - start) * (255 / (end - start))).clip(0, 255)


def _example(kind: str, low: float, high: float) -> str:
    if low < 0 or (kind == 'f' and high > 1):
        return f'({low:g}, {max(high, low + 1):g})'
    if kind == 'f':
        return '(0, 1)'
    bits = next((bits for bits in (8, 10, 12, 14, 16) if high < 2**bits), 32)
    return f'(0, {2**bits - 1})'


def to_picture(pixels: np.ndarray, rgb: bool = False) -> np.ndarray:
    """Red, green and blue of pixels of any number of channels, for pictures.

    One channel, and two, become grey; of more than three the first three are shown.

    Args:
        pixels (np.ndarray): ``(H, W)`` or ``(H, W, C)``, values in 0-255.
        rgb (bool): Whether the first three of them are red, green, blue; else blue, green, red.
            Defaults to False.

    Returns:
        np.ndarray: ``(H, W, 3)`` uint8.
    """
    if pixels.dtype != np.uint8:
        pixels = np.nan_to_num(pixels).round().clip(0, 255).astype(np.uint8)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] < 3:
        return pixels[..., :1].repeat(3, axis=2)
    colours = np.ascontiguousarray(pixels[..., :3])
    return colours if rgb else swapped(colours)


def read_picture(path: str, value_range: Optional[ValueRange] = None) -> np.ndarray:
    """Picture ``(H, W, 3)`` uint8, red, green, blue, of an image file.

    Args:
        path (str): Any image file.
        value_range (tuple[float, float], optional): For images that are not of 8 bit. Defaults to
            None: the least and the greatest value of the image.
    """
    return picture_of(read_image(path), range_of(path, value_range), path)


def picture_of(
    pixels: np.ndarray, value_range: Optional[ValueRange] = None, name: str = 'given'
) -> np.ndarray:
    """Picture of pixels in OpenCV's order, as :func:`read_picture`."""
    if pixels.dtype != np.uint8 and value_range is None:
        low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
        value_range = (low, high) if low < high else (low, low + 1)
    return to_picture(scaled(pixels, value_range, name))
