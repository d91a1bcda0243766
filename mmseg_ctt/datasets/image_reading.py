# Copyright (c) mmseg_ctt contributors.
"""The one reader of image files: pixels as a viewer shows them, of any depth and channel number.

Orientation tags are applied here and nowhere else, whatever the format. Every band of a file is
returned, or the file is refused. :mod:`.image_values` makes what networks take of the pixels. The
address of a slice (:mod:`mmseg_ctt.volumes.address`) stands for an image file everywhere.
"""

import io
from pathlib import Path
from typing import Any, Optional, Tuple, Union

import cv2
import numpy as np
from PIL import Image, ImageOps

from ..rasters.library import has_rasterio
from ..rasters.reading import decode_raster
from ..volumes.address import VOLUME_SUFFIXES, is_address
from ..volumes.reading import UnreadableVolumeError
from ..volumes.slices import read_slice, slice_shape
from .plain_files import is_array, read_array
from .tiff_header import (
    CMYK,
    PALETTE,
    TiffHeader,
    is_raster,
    is_tiff,
    read_tiff_header,
    without_orientation,
)

PathLike = Union[str, Path]
EXIF_ORIENTATION = 0x0112
PNG_METADATA = (b'eXIf', b'Raw profile type', b'tiff:Orientation')
YCBCR = 6  # as CMYK and PALETTE an interpretation whose samples are no bands
CV_BANDS = (1, 3, 4)  # numbers of bands that OpenCV has types for
# Pillow's modes whose samples are kept; others become what the second line says, else RGB
PLAIN = ('L', 'LA', 'La', 'RGB', 'RGBA', 'RGBa', 'I', 'F', 'I;16', 'I;16B', 'I;16L', 'I;16N')
COLOURS = {'1': 'L', 'PA': 'RGBA'}


class UnreadableImageError(ValueError):
    """An image file is damaged, or no image."""


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
        Bands of a GeoTIFF are 0 where they have no data.

    Raises:
        UnreadableImageError: If it cannot be decoded.
        ValueError: If some of its bands or pages would be lost.
    """
    if name.lower().endswith(VOLUME_SUFFIXES):
        raise UnreadableImageError(
            f'{name} is a volume, not an image: name a slice of it, as in {name}#z=041'
        )
    header = read_tiff_header(content) if is_tiff(content) else None
    if header is not None and is_raster(header, has_rasterio()):
        return swapped(decode_raster(content, name).values)
    if header is not None:
        pixels = _decode_tiff(without_orientation(content, header), header, name)
        return turned(pixels, header.orientation)
    opened = _opened(content)
    found = read_array(content) if is_array(content) else _decode_plain(content, opened)
    if found is None:
        raise UnreadableImageError(f'cannot decode image {name}')
    return found if opened is None else turned(found, _orientation(opened, content))


def _decode_plain(content: bytes, opened: Optional[Image.Image]) -> Optional[np.ndarray]:
    """Pixels of a file that is no TIFF, as stored where Pillow has opened it."""
    if opened is None:  # OpenCV alone knows the format, and turns what it can
        pixels = _by_opencv(content, cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.dtype == np.uint8 and pixels.ndim == 3:
            pixels = _by_opencv(content, cv2.IMREAD_COLOR)
        return pixels
    if _needs_pillow(opened):
        return _by_pillow(opened)
    return _by_opencv(content, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)


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
    opened = _opened(content)
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
    pixels = _by_pillow(ImageOps.exif_transpose(image))
    if pixels is None:
        raise UnreadableImageError('cannot decode the PIL image')
    return pixels


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels ``(H, W, ...)`` as an orientation tag of EXIF, 1 to 8, wants them shown."""
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _opened(content: bytes) -> Optional[Image.Image]:
    """Header of a file; None where Pillow does not know it, or finds it too large."""
    try:
        return Image.open(io.BytesIO(content))
    except Exception:  # each format has errors of its own
        return None


def _orientation(opened: Image.Image, content: bytes) -> int:
    # Pillow decodes a PNG to find its tags
    if opened.format == 'PNG' and not any(mark in content for mark in PNG_METADATA):
        return 1
    try:
        value = opened.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # broken tags do not make an image unreadable
        return 1
    return value if value in range(1, 9) else 1


def _raw_mode(opened: Image.Image) -> str:
    """Name that Pillow's decoder has for the pixels of the file."""
    tile: Any = next(iter(getattr(opened, 'tile', ())), None)
    settings = tile[3] if tile else ''
    return str(settings[0] if isinstance(settings, tuple) and settings else settings)


def _needs_pillow(opened: Image.Image) -> bool:
    """Whether an image of 8 bit is of a mode in which OpenCV loses or mixes channels."""
    if opened.mode[0] in 'IF' or ';16' in _raw_mode(opened):
        return False
    return opened.mode not in ('L', 'RGB') or 'transparency' in opened.info


def _by_pillow(image: Image.Image) -> Optional[np.ndarray]:
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


def _by_opencv(content: bytes, flags: int) -> Optional[np.ndarray]:
    data = np.frombuffer(content, dtype=np.uint8)
    try:
        return cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        return None


def swapped(pixels: np.ndarray) -> np.ndarray:
    """Red, green, blue as blue, green, red and back; a fourth channel stays."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels not in (3, 4):
        return np.ascontiguousarray(pixels)
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][:channels]])


def _decode_tiff(content: bytes, header: TiffHeader, name: str) -> np.ndarray:
    """Pixels as stored: by Pillow or OpenCV, whichever reads every band, else by tifffile."""
    if header.pages > 1:
        raise ValueError(
            f'the image {name} has {header.pages} pages of one size: write them as bands of one '
            'page, or as one file each'
        )
    mixed = header.photometric in (CMYK, PALETTE, YCBCR)  # samples are no bands
    if mixed or header.bands in CV_BANDS or (header.bands == 2 and header.kind == 'uint8'):
        opened = _opened(content)
        if opened is not None and _needs_pillow(opened) and _raw_mode(opened) == opened.mode:
            pixels = _by_pillow(opened)
        else:
            pixels = _by_opencv(content, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise UnreadableImageError(f'cannot decode image {name}')
        if mixed or header.bands == (pixels.shape[2] if pixels.ndim == 3 else 1):
            return pixels
    return _by_tifffile(content, header, name)


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
