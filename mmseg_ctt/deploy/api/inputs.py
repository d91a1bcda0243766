# Copyright (c) mmseg_ctt contributors.
"""What may be given to :func:`predict`, as one kind of thing."""

from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple, Union

import mmcv
import numpy as np
from PIL import Image

from ...datasets.image_files import IMAGE_SUFFIXES, find_files
from ...datasets.sources import LABEL_TRANSFORMS

ImageInput = Union[str, Path, np.ndarray, Image.Image]


class Source(NamedTuple):
    """One image: a file, or pixels.

    Attributes:
        name (str): Stem of the file, below the folder that was given; else a number.
        path (str | None): Of the file.
        pixels (np.ndarray | None): ``(H, W, 3)`` uint8, RGB.
    """

    name: str
    path: Optional[str] = None
    pixels: Optional[np.ndarray] = None

    def rgb(self) -> np.ndarray:
        """The image ``(H, W, 3)`` uint8."""
        if self.pixels is not None:
            return self.pixels
        return mmcv.imread(self.path, channel_order='rgb')


def image_pipeline(cfg: Mapping) -> Optional[List[dict]]:
    """Steps of the config's test pipeline without those that load labels; None without any."""
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        return None
    return [
        dict(step) for step in loader['dataset']['pipeline'] if step['type'] not in LABEL_TRANSFORMS
    ]


def list_sources(inputs: Any, channel_order: str = 'rgb') -> Tuple[List[Source], bool]:
    """All images of the input, and whether there may be several.

    Args:
        inputs (str | Path | np.ndarray | PIL.Image | list): An image file, a folder (searched
            with its sub-folders), pixels, or a list of files and pixels.
        channel_order (str): Of arrays, ``'rgb'`` or ``'bgr'``. Defaults to 'rgb'.

    Raises:
        FileNotFoundError: If a file or folder does not exist, or a folder has no image.
        TypeError: If an entry is none of these.
        ValueError: If an array is no image.
    """
    if channel_order not in ('rgb', 'bgr'):
        raise ValueError(f"channel_order must be 'rgb' or 'bgr', got {channel_order!r}")
    if isinstance(inputs, (str, Path)) and Path(inputs).is_dir():
        found = find_files(inputs)
        if not found:
            raise FileNotFoundError(
                f'no image was found in {inputs}; images end in {", ".join(IMAGE_SUFFIXES)}'
            )
        return [Source(stem, str(Path(inputs, name))) for stem, name in found.items()], True
    if isinstance(inputs, (list, tuple)):
        return [_source(one, i, channel_order) for i, one in enumerate(inputs)], True
    return [_source(inputs, 0, channel_order)], False


def _source(one: ImageInput, number: int, channel_order: str) -> Source:
    if isinstance(one, (str, Path)):
        if not Path(one).is_file():
            raise FileNotFoundError(f'the image {one} does not exist')
        return Source(Path(one).stem, str(one))
    if isinstance(one, Image.Image):
        one, channel_order = np.array(one.convert('RGB')), 'rgb'
    if not isinstance(one, np.ndarray):
        raise TypeError(
            'predict takes image files, folders, numpy arrays, PIL images and lists of '
            f'them, not {type(one).__name__}'
        )
    return Source(f'{number:06d}', None, _pixels(one, channel_order))


def _pixels(array: np.ndarray, channel_order: str) -> np.ndarray:
    if array.dtype != np.uint8:
        raise ValueError(f'an image must be uint8 in 0-255, got {array.dtype}')
    if array.ndim == 2:
        array = np.stack([array] * 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ValueError(
            f'an image must be (H, W, 3) or (H, W), got {array.shape}: give several '
            'images as a list'
        )
    return np.ascontiguousarray(array if channel_order == 'rgb' else array[..., ::-1])
