# Copyright (c) mmseg_ctt contributors.
"""Decoders of image files, Pillow and OpenCV, and the order of channels and rows that they give."""

import io
from contextlib import contextmanager
from typing import Any, Iterator, Optional

import cv2
import numpy as np
from PIL import Image

# Pillow's modes whose samples are kept; others become what the second line says, else RGB
PLAIN = ('L', 'LA', 'La', 'RGB', 'RGBA', 'RGBa', 'I', 'F', 'I;16', 'I;16B', 'I;16L', 'I;16N')
COLOURS = {'1': 'L', 'PA': 'RGBA'}


class UnreadableImageError(ValueError):
    """An image file is damaged, or no image."""


@contextmanager
def mask_errors(name: str) -> Iterator[None]:
    """Say which mask the ``with`` block cannot read, and what to do about one that is too large.

    Args:
        name (str): What messages call it.

    Raises:
        ValueError: In the place of an error of Pillow.
    """
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ValueError(
            f'{name} has too many pixels ({error}): cut it, and its image, into images of one '
            'size: python tools/dataset_converters/cut_rasters.py for .tif'
        ) from None
    except (OSError, SyntaxError) as error:  # Pillow's errors for bad files
        raise ValueError(f'{name} cannot be read: {error}') from None


def opened_header(content: bytes) -> Optional[Image.Image]:
    """Header of a file; None where Pillow does not know it, or finds it too large."""
    try:
        return Image.open(io.BytesIO(content))
    except Exception:  # each format has errors of its own
        return None


def raw_mode(image: Image.Image) -> str:
    """Name that Pillow's decoder has for the pixels of the file."""
    tile: Any = next(iter(getattr(image, 'tile', ())), None)
    settings = tile[3] if tile else ''
    return str(settings[0] if isinstance(settings, tuple) and settings else settings)


def needs_pillow(image: Image.Image) -> bool:
    """Whether an image of 8 bit is of a mode in which OpenCV loses or mixes channels."""
    if image.mode[0] in 'IF' or ';16' in raw_mode(image):
        return False
    return image.mode not in ('L', 'RGB') or 'transparency' in image.info


def by_pillow(image: Image.Image) -> Optional[np.ndarray]:
    """Pixels by Pillow, in OpenCV's order of channels; None for a damaged file."""
    mode = image.mode
    if mode in ('P', 'RGB') and 'transparency' in image.info:
        mode = 'RGBA'
    elif mode not in PLAIN:
        mode = COLOURS.get(mode, 'RGB')
    try:
        pixels = np.array(image if mode == image.mode else image.convert(mode))
    except Exception:  # Pillow's errors for damaged files
        return None
    return swapped(pixels)


def by_opencv(content: bytes, flags: int) -> Optional[np.ndarray]:
    """Pixels by OpenCV; None for what it cannot decode."""
    data = np.frombuffer(content, dtype=np.uint8)
    try:
        return cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        return None


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels ``(H, W, ...)`` as an orientation tag of EXIF, 1 to 8, wants them shown."""
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def swapped(pixels: np.ndarray) -> np.ndarray:
    """Red, green, blue as blue, green, red and back; a fourth channel stays."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels not in (3, 4):
        return np.ascontiguousarray(pixels)
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][:channels]])
