# Copyright (c) mmseg_ctt contributors.
"""Options of a training copy from what a user chooses."""

from typing import Optional

from .encode import FORMATS, JPEG
from .manifest import Options
from .sizes import Scale

QUALITY = 95  # of JPEG


def options_of(
    format: str = JPEG, quality: int = QUALITY, scale: Optional[Scale] = None
) -> Options:
    """Options of a copy.

    Args:
        format (str): ``'jpeg'`` or ``'raw'``. Defaults to ``'jpeg'``.
        quality (int): Of JPEG, 1 to 100. Defaults to 95.
        scale (Scale, optional): Size of the images. Defaults to None: that of the originals.

    Raises:
        ValueError: For an unknown format, or a quality outside 1 to 100.
    """
    if format not in FORMATS:
        raise ValueError(f'--format must be one of {FORMATS}, got {format!r}')
    if not 1 <= quality <= 100:
        raise ValueError(f'--quality must be in 1 to 100, got {quality}')
    chosen = scale or Scale(1, 1)
    return Options(
        format,
        quality if format == JPEG else None,
        None if scale is None else scale.size,
        chosen.keep_ratio,
        chosen.interpolation,
    )
