# Copyright (c) mmseg_ctt contributors.
"""Inputs of :func:`predict` as a list of images."""

from itertools import count
from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image

from ...datasets.image_files import IMAGE_SUFFIXES, find_images
from ...datasets.image_reading import pillow_pixels, read_image, swapped
from ...datasets.image_values import picture_of, range_of
from ...datasets.output_names import OutputNames
from ...datasets.sources import LABEL_TRANSFORMS
from ...datasets.wrappers import leaf_configs
from ...volumes.address import file_of

SERIAL = count(1)
ImageInput = Union[str, Path, np.ndarray, Image.Image]


class Source(NamedTuple):
    """Image as a file or as pixels.

    Attributes:
        name (str): Path of the file without suffix, below the input folder or the folder that the
            files of the list have in common; a number for pixels.
        path (str | None): Path of the file, or address of a slice; None for pixels.
        pixels (np.ndarray | None): ``(H, W)`` or ``(H, W, C)``, blue first, see
            :func:`mmseg_ctt.datasets.image_reading.decode_image`.
        serial (int): Number of an input of pixels, counted in this process.
        value_range (tuple[float, float] | None): Of the model's test pipeline, for images that are
            not of 8 bit.
    """

    name: str
    path: Optional[str] = None
    pixels: Optional[np.ndarray] = None
    serial: int = 0
    value_range: Optional[Tuple[float, float]] = None

    def read(self) -> np.ndarray:
        """Pixels, blue first; a file is read."""
        return read_image(str(self.path)) if self.pixels is None else self.pixels

    def rgb(self) -> np.ndarray:
        """Picture ``(H, W, 3)`` uint8, red, green, blue; a file is read."""
        return picture_of(self.read(), range_of(self.path or '', self.value_range), self.name)


def image_pipeline(cfg: Mapping) -> Optional[List[dict]]:
    """Test pipeline of a config without the steps that load labels; None if it has none.

    It is that of the test or validation images; without such images, as new_run writes it for a
    single mask, the variable ``test_pipeline`` of mmseg's configs.
    """
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if loader:
        steps = [*leaf_configs(loader['dataset']).values()][0]['pipeline']
    else:
        steps = cfg.get('test_pipeline')
    if not isinstance(steps, (list, tuple)):
        return None
    return [dict(step) for step in steps if step['type'] not in LABEL_TRANSFORMS]


def list_sources(inputs: Any, channel_order: str = 'rgb') -> Tuple[List[Source], bool]:
    """Images of an input, and whether the input is a folder or list.

    Args:
        inputs (str | Path | np.ndarray | PIL.Image | list): An image file, a folder (searched
            with its sub-folders), pixels, or a list of files and pixels.
        channel_order (str): Order of the first three channels of arrays, ``'rgb'`` or ``'bgr'``.
            Defaults to 'rgb'.

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
        return _sources(inputs, channel_order), True
    return _sources([inputs], channel_order), False


def _sources(entries: Sequence[ImageInput], channel_order: str) -> List[Source]:
    """Images of a list, of different names: files keep the sub-folders in which they differ."""
    files = OutputNames(entry for entry in entries if isinstance(entry, (str, Path)))
    return [_source(entry, i, channel_order, files) for i, entry in enumerate(entries)]


def _source(entry: ImageInput, number: int, channel_order: str, files: OutputNames) -> Source:
    if isinstance(entry, (str, Path)):
        if not Path(file_of(str(entry))).is_file():
            raise FileNotFoundError(f'the image {entry} does not exist')
        return Source(files.of(entry), str(entry))
    if isinstance(entry, Image.Image):
        pixels = pillow_pixels(entry)
    elif isinstance(entry, np.ndarray):
        pixels = _pixels(entry, channel_order)
    else:
        raise TypeError(
            'predict takes image files, folders, numpy arrays, PIL images and lists of '
            f'them, not {type(entry).__name__}'
        )
    name = files.of(f'pixels {number}/{number:06d}')
    return Source(name, None, pixels, next(SERIAL))


def _pixels(array: np.ndarray, channel_order: str) -> np.ndarray:
    """Pixels of an array, blue first; channels beyond the first three stay in their order."""
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(
            f'an image must be (H, W) or (H, W, C), got {array.shape}: give several images as a '
            'list'
        )
    return swapped(array) if channel_order == 'rgb' else np.ascontiguousarray(array)
