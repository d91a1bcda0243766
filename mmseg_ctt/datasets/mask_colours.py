# Copyright (c) mmseg_ctt contributors.
"""Mode and colours of mask files, by Pillow, or by rasterio where pixels have no data."""

from pathlib import Path
from typing import Dict, Optional

import numpy as np
from PIL import Image

from .image_decoders import mask_errors
from .image_values import to_picture
from .lists import PathLike
from .nodata import decode_with_nodata, is_label_raster
from .tiff_header import PALETTE, TiffHeader, file_header

EIGHT_BIT = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK')  # modes of Pillow
NO_DATA = -(2**31)  # in the place of a colour, or of an id
OF_BANDS = {2: 'LA', 3: 'RGB', 4: 'RGBA'}


def raster_header(path: PathLike) -> Optional[TiffHeader]:
    """Header of a mask that rasterio reads; None for any other.

    Args:
        path (str | Path): The mask.
    """
    header = file_header(Path(path))
    return header if header is not None and is_label_raster(header) else None


def mask_mode(path: PathLike) -> str:
    """Mode of a mask as Pillow calls it, also of a file that Pillow does not read.

    Args:
        path (str | Path): The mask.

    Raises:
        ValueError: If it cannot be read.
    """
    with mask_errors(f'the mask {path}'):
        header = raster_header(path)
        if header is None or header.photometric == PALETTE:
            with Image.open(path) as image:
                return image.mode
    if header.bands > 1:
        return OF_BANDS.get(header.bands, f'{header.bands} bands')
    if header.kind.startswith('float'):
        return 'F'
    return {'uint1': '1', 'uint8': 'L'}.get(header.kind, 'I')


def read_colours(path: PathLike) -> np.ndarray:
    """Colours of a mask; an alpha channel is not read.

    Args:
        path (str | Path): Image of 8 bits a channel; palette images give their colours.

    Returns:
        np.ndarray: int32 ``(H, W)``, :data:`NO_DATA` where a raster has no data.

    Raises:
        ValueError: If it cannot be read, or has more than 8 bits.
    """
    mode = mask_mode(path)
    if mode not in EIGHT_BIT:
        raise ValueError(
            f'the mask {path} has the mode {mode} of Pillow: only masks of 8 bits a channel are '
            'converted'
        )
    with mask_errors(f'the mask {path}'):
        if raster_header(path) is not None:
            return _raster_colours(Path(path), 255 if mode == '1' else 1)
        with Image.open(path) as image:
            return _packed(np.asarray(image.convert('RGB')))


def _packed(rgb: np.ndarray) -> np.ndarray:
    wide = rgb.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _raster_colours(path: Path, scale: int) -> np.ndarray:
    pixels, missing = decode_with_nodata(path.read_bytes(), f'the mask {path}')
    if pixels.dtype != np.uint8:
        raise ValueError(
            f'the mask {path} holds {pixels.dtype}: only masks of 8 bits a channel are converted'
        )
    colours = _packed(to_picture(pixels) * np.uint8(scale))
    return colours if missing is None else np.where(missing.all(2), NO_DATA, colours)


def counted(values: np.ndarray) -> Dict[int, int]:
    """Pixels by colour or id, without those that have no data.

    Args:
        values (np.ndarray): As from :func:`read_colours`.
    """
    found, pixels = np.unique(values[values != NO_DATA], return_counts=True)
    return dict(zip(found.tolist(), pixels.tolist()))
