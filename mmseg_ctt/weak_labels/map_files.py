# Copyright (c) mmseg_ctt contributors.
"""Folders of maps of 8 bit, one PNG an image, such as saliency: checked, read, written.

The map of the image with the stem ``a/b`` is ``a/b.png``, as ``LoadMaps`` reads it in training.
"""

import os
from pathlib import Path
from typing import Mapping, Tuple, Union

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

PathLike = Union[str, Path]
SUFFIX = '.png'
GREY = 'L'  # of Pillow: one channel of 8 bit


def check_maps(folder: PathLike, sizes: Mapping[str, Tuple[int, int]], what: str) -> None:
    """Check by their headers that all images have a map of their size, in one channel of 8 bit.

    Args:
        folder (str | Path): Folder of the maps.
        sizes (Mapping[str, tuple[int, int]]): Height and width of the images by their stem.
        what (str): What the maps are, for messages, such as ``'saliency map'``.

    Raises:
        FileNotFoundError: If the folder, or the map of an image, does not exist.
        ValueError: For the first map that is of another size or kind, or cannot be read.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'the folder {folder} of {what}s does not exist')
    missing = [stem for stem in sizes if not map_path(folder, stem).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(sizes)} images have no {what} in {folder}, such as '
            f'{missing[0]}{SUFFIX}: maps are named like the images and end in {SUFFIX}'
        )
    for stem, size in sizes.items():
        path = map_path(folder, stem)
        try:
            with Image.open(path) as opened:
                mode, found = opened.mode, (opened.size[1], opened.size[0])
        except (UnidentifiedImageError, OSError):
            raise ValueError(f'the {what} {path} cannot be read: make it again') from None
        _check_map(path, mode == GREY, found, size, what)


def read_ids(folder: PathLike, stem: str, size: Tuple[int, int], what: str) -> np.ndarray:
    """Map of an image as it is stored, such as class ids.

    Args:
        folder (str | Path): Folder of the maps.
        stem (str): Of the image.
        size (tuple[int, int]): Height and width of the image.
        what (str): What the map is, for messages.

    Returns:
        np.ndarray: ``(H, W)`` uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, is of another size or not one channel of 8 bit.
    """
    path = map_path(folder, stem)
    if not path.is_file():
        raise FileNotFoundError(f'the {what} {path} does not exist')
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError(f'the {what} {path} cannot be read: make it again')
    grey = values.ndim == 2 and values.dtype == np.uint8
    _check_map(path, grey, (values.shape[0], values.shape[1]), size, what)
    return values


def read_map(folder: PathLike, stem: str, size: Tuple[int, int], what: str) -> np.ndarray:
    """Map of an image as numbers from 0 to 1, ``(H, W)`` float32; see :func:`read_ids`."""
    return read_ids(folder, stem, size, what).astype(np.float32) / 255


def _check_map(
    path: Path, grey: bool, found: Tuple[int, int], size: Tuple[int, int], what: str
) -> None:
    if not grey:
        raise ValueError(f'the {what} {path} is not one channel of 8 bit: save it as a grey PNG')
    if found != tuple(size):
        raise ValueError(
            f'the {what} {path} is of {found} and its image of {tuple(size)} pixels (height, '
            'width): make it of the size of the image'
        )


def map_path(folder: PathLike, stem: str) -> Path:
    """File of the map of an image."""
    return Path(folder, f'{stem}{SUFFIX}')


def write_map(folder: PathLike, stem: str, values: np.ndarray) -> None:
    """Write a map; another process, or one that is stopped, leaves no half of a file.

    Args:
        folder (str | Path): Made where it is missing.
        stem (str): Of the image.
        values (np.ndarray): ``(H, W)`` uint8, written as it is, or float in [0, 1].
    """
    path = map_path(folder, stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = values if values.dtype == np.uint8 else np.round(values * 255).astype(np.uint8)
    partial = path.with_name(f'.{path.name}.{os.getpid()}{SUFFIX}')
    if not cv2.imwrite(str(partial), pixels):
        raise OSError(f'{path} cannot be written')
    os.replace(partial, path)
