# Copyright (c) mmseg_ctt contributors.
"""The one reader of image files: pixels as a viewer shows them, of any depth and channel number.

Orientation tags are applied here and nowhere else, whatever the format. Every band of a file is
returned, or the file is refused. :mod:`.image_values` makes what networks take of the pixels. The
address of a slice (:mod:`mmseg_ctt.volumes.address`) stands for an image file everywhere.
"""

from pathlib import Path
from typing import Optional, Tuple, Union

import cv2
import numpy as np
from PIL import Image, ImageOps

from ..volumes.address import VOLUME_SUFFIXES, is_address
from ..volumes.reading import UnreadableVolumeError
from ..volumes.slices import read_slice, slice_shape
from .image_decoders import (
    UnreadableImageError,
    by_opencv,
    by_pillow,
    needs_pillow,
    opened_header,
    swapped,
    turned,
)
from .plain_files import is_array, read_array
from .tiff_header import is_tiff, read_tiff_header
from .tiff_pixels import tiff_pixels

__all__ = [
    'UnreadableImageError',
    'damage_of',
    'decode_image',
    'decodes',
    'image_size',
    'pillow_pixels',
    'read_image',
    'stored_size',
    'swapped',
    'turned',
]
PathLike = Union[str, Path]
EXIF_ORIENTATION = 0x0112
PNG_METADATA = (b'eXIf', b'Raw profile type', b'tiff:Orientation')


def read_image(path: PathLike) -> np.ndarray:
    """Pixels of an image file, see :func:`decode_image`, or of a slice: in 0..255 then.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImageError: If it cannot be decoded.
        ValueError: If some of its bands or pages would be lost.
    """
    if is_address(str(path)):
        return read_slice(str(path))
    if not Path(path).is_file():
        raise FileNotFoundError(f'the image {path} does not exist')
    return decode_image(Path(path).read_bytes(), str(path))


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Pixels of an image as a viewer shows them: turned as its orientation tag says.

    Args:
        content (bytes): The file.
        name (str): What messages call it.

    Returns:
        np.ndarray: ``(H, W)`` or ``(H, W, C)`` in the type of the file. Three and four channels
        are blue, green, red (and the fourth), as OpenCV has them; palettes give their colours.
        Bands of a TIFF are 0 where the file says that they have no data.

    Raises:
        UnreadableImageError: If it cannot be decoded.
        ValueError: If some of its bands or pages would be lost.
    """
    if name.lower().endswith(VOLUME_SUFFIXES):
        raise UnreadableImageError(
            f'{name} is a volume, not an image: name a slice of it, as in {name}#z=041'
        )
    header = read_tiff_header(content) if is_tiff(content) else None
    if header is not None:
        return tiff_pixels(content, header, name).values
    opened = opened_header(content)
    found = read_array(content) if is_array(content) else _decode_plain(content, opened)
    if found is None:
        raise UnreadableImageError(f'cannot decode image {name}')
    return found if opened is None else turned(found, _orientation(opened, content))


def _decode_plain(content: bytes, opened: Optional[Image.Image]) -> Optional[np.ndarray]:
    """Pixels of a file that is no TIFF, as stored where Pillow has opened it."""
    if opened is None:  # OpenCV alone knows the format, and turns what it can
        pixels = by_opencv(content, cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.dtype == np.uint8 and pixels.ndim == 3:
            pixels = by_opencv(content, cv2.IMREAD_COLOR)
        return pixels
    if needs_pillow(opened):
        return by_pillow(opened)
    return by_opencv(content, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)


def image_size(path: PathLike) -> Tuple[int, int]:
    """Height and width of an image as a viewer shows it, where possible from its header alone.

    Args:
        path (str | Path): Image file.

    Returns:
        tuple[int, int]: Height and width in pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read as an image.
    """
    (height, width), orientation = stored_size(path)
    return (width, height) if orientation > 4 else (height, width)


def stored_size(path: PathLike) -> Tuple[Tuple[int, int], int]:
    """Height and width of an image as stored, and its orientation tag, 1 to 8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read as an image.
    """
    if is_address(str(path)):
        return slice_shape(str(path)), 1
    if not Path(path).is_file():
        raise FileNotFoundError(f'the image {path} does not exist')
    content = Path(path).read_bytes()
    header = read_tiff_header(content) if is_tiff(content) else None
    if header is not None:
        return header.size, header.orientation
    opened = opened_header(content)
    if opened is not None:
        return (opened.size[1], opened.size[0]), _orientation(opened, content)
    try:
        return decode_image(content, str(path)).shape[:2], 1
    except UnreadableImageError:
        raise ValueError(f'the image {path} cannot be read') from None


def decodes(path: str) -> bool:
    """Whether a file is an intact image, even one of a kind that is refused."""
    return damage_of(path) is None


def damage_of(path: str) -> Optional[str]:
    """Why an image cannot be decoded; None for an intact one, even of a kind that is refused.

    Args:
        path (str): Image file, or address of a slice, whose volume is named then.
    """
    try:
        read_image(path)
    except (OSError, UnreadableImageError, UnreadableVolumeError) as error:
        return str(error)
    except ValueError:
        return None
    return None


def pillow_pixels(image: Image.Image) -> np.ndarray:
    """Pixels of a Pillow image, as :func:`decode_image` gives those of its file.

    An image that was opened and not yet loaded is read from its file, since Pillow cuts colour
    images of 16 bit to 8.

    Args:
        image (PIL.Image.Image): In any mode.

    Raises:
        UnreadableImageError: If it cannot be decoded.
        ValueError: See :func:`decode_image`.
    """
    path = getattr(image, 'filename', '')
    if path and getattr(image, 'tile', None) and Path(path).is_file():
        return read_image(path)
    pixels = by_pillow(ImageOps.exif_transpose(image))
    if pixels is None:
        raise UnreadableImageError('cannot decode the PIL image')
    return pixels


def _orientation(opened: Image.Image, content: bytes) -> int:
    # Pillow decodes a PNG to find its tags
    if opened.format == 'PNG' and not any(mark in content for mark in PNG_METADATA):
        return 1
    try:
        value = opened.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # broken tags do not make an image unreadable
        return 1
    return value if value in range(1, 9) else 1
