# Copyright (c) mmseg_ctt contributors.
"""Inputs of :func:`predict` as a list of images."""

from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple, Union

import mmcv
import numpy as np
from PIL import Image

from ...datasets.image_files import IMAGE_SUFFIXES, find_images
from ...datasets.sources import LABEL_TRANSFORMS

ImageInput = Union[str, Path, np.ndarray, Image.Image]


class Source(NamedTuple):
    """Image as a file or as pixels.

    Attributes:
        name (str): Path of the file without suffix, relative to the input folder; else a number.
        path (str | None): Path of the file; None for pixels.
        pixels (np.ndarray | None): ``(H, W, 3)`` uint8, RGB.
    """

    name: str
    path: Optional[str] = None
    pixels: Optional[np.ndarray] = None

    def rgb(self) -> np.ndarray:
        """Pixels ``(H, W, 3)`` uint8; a file is read."""
        if self.pixels is not None:
            return self.pixels
        return mmcv.imread(self.path, channel_order='rgb')


def image_pipeline(cfg: Mapping) -> Optional[List[dict]]:
    """Test pipeline of a config without the steps that load labels; None without a loader."""
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        return None
    return [
        dict(step) for step in loader['dataset']['pipeline'] if step['type'] not in LABEL_TRANSFORMS
    ]


def list_sources(inputs: Any, channel_order: str = 'rgb') -> Tuple[List[Source], bool]:
    """Images of an input, and whether the input is a folder or list.

    Args:
        inputs (str | Path | np.ndarray | PIL.Image | list): An image file, a folder (searched
            with its sub-folders), pixels, or a list of files and pixels.
        channel_order (str): Channel order of arrays, ``'rgb'`` or ``'bgr'``. Defaults to 'rgb'.

    Raises:
        FileNotFoundError: If a file or folder does not exist, or a folder has no image.
        TypeError: If an entry is none of these.
        ValueError: If an array is no image.
    """
    if channel_order not in ('rgb', 'bgr'):
        raise ValueError(f"channel_order must be 'rgb' or 'bgr', got {channel_order!r}")
    if isinstance(inputs, (str, Path)) and Path(inputs).is_dir():
        files = find_images(inputs)
        if not files:
            raise FileNotFoundError(
                f'no image was found in {inputs}; images end in {", ".join(IMAGE_SUFFIXES)}'
            )
        return [Source(stem, str(Path(inputs, name))) for stem, name in files.items()], True
    if isinstance(inputs, (list, tuple)):
        return [_source(entry, i, channel_order) for i, entry in enumerate(inputs)], True
    return [_source(inputs, 0, channel_order)], False


def _source(entry: ImageInput, number: int, channel_order: str) -> Source:
    if isinstance(entry, (str, Path)):
        if not Path(entry).is_file():
            raise FileNotFoundError(f'the image {entry} does not exist')
        return Source(Path(entry).stem, str(entry))
    if isinstance(entry, Image.Image):
        entry, channel_order = np.array(entry.convert('RGB')), 'rgb'
    if not isinstance(entry, np.ndarray):
        raise TypeError(
            'predict takes image files, folders, numpy arrays, PIL images and lists of '
            f'them, not {type(entry).__name__}'
        )
    return Source(f'{number:06d}', None, _pixels(entry, channel_order))


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
