# Copyright (c) mmseg_ctt contributors.
"""Checks of label maps, and counts of their ids, before and during training."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Mapping, Optional, Sequence, Union

import numpy as np
from PIL import Image

from ..volumes.address import is_address
from ..volumes.slices import read_label_slice
from .converted_masks import remedy
from .image_decoders import mask_errors
from .image_reading import image_size, stored_size
from .label_ids import check_ids, check_label_map, reduce_zero, whole_numbers
from .nodata import label_raster

PathLike = Union[str, Path]
__all__ = [
    'check_ids',
    'check_mask',
    'check_size',
    'class_pixels',
    'image_size',
    'read_checked',
    'read_mask',
    'reduce_zero',
    'scan_presence',
]


def check_size(
    seg_map: np.ndarray, size: Sequence[int], name: str, image_path: Optional[PathLike] = None
) -> None:
    """Check the height and width of a label map.

    Args:
        seg_map (np.ndarray): Label map.
        size (Sequence[int]): Height and width of its image, as shown.
        name (str): What the message calls the label map.
        image_path (str | Path, optional): The image, whose orientation tag may be the reason.
            Defaults to None.

    Raises:
        ValueError: If they differ.
    """
    if tuple(seg_map.shape[:2]) != tuple(size):
        raise ValueError(
            f'{name} is {seg_map.shape[0]} high and '
            f'{seg_map.shape[1]} wide, its image {size[0]} high '
            f'and {size[1]} wide{_turned(seg_map, image_path)}'
        )


def _turned(seg_map: np.ndarray, image_path: Optional[PathLike]) -> str:
    """What to say of a label map that fits its image as stored, and not as shown."""
    if image_path is None or not Path(image_path).is_file():
        return ''
    size, orientation = stored_size(image_path)
    if orientation == 1 or tuple(seg_map.shape[:2]) != size:
        return ''
    return (
        f': {image_path} has the orientation tag {orientation}, and the label map fits the image '
        'as stored. Draw label maps on the image as viewers show it, or remove the tag'
    )


def class_pixels(seg_map: np.ndarray, num_classes: int, ignore_index: int = 255) -> np.ndarray:
    """Pixels of each class of a checked label map.

    Args:
        seg_map (np.ndarray): Label map that passed :func:`check_ids`.
        num_classes (int): Number of classes.
        ignore_index (int): Id that is not counted. Defaults to 255.

    Returns:
        np.ndarray: int64 ``(num_classes,)``.
    """
    kept = seg_map[seg_map != ignore_index]
    return np.bincount(kept, minlength=num_classes)


def read_mask(path: PathLike, ignore_index: int = 255) -> np.ndarray:
    """Read a label file without changing its ids.

    Args:
        path (str | Path): Image file, or address of a slice; palette images give their indices,
            and those of 1 bit 0 and 1.
        ignore_index (int): Id of pixels of a raster without data. Defaults to 255.

    Returns:
        np.ndarray: ``(H, W)``, or ``(H, W, C)`` for a colour image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read as an image.
    """
    if is_address(str(path)):
        return read_label_slice(str(path))
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the mask {path} does not exist{remedy(path)}')
    if path.suffix.lower() in ('.tif', '.tiff'):
        raster = label_raster(path.read_bytes(), f'the mask {path}', ignore_index)
        if raster is not None:
            return raster
    with mask_errors(f'the mask {path}'), Image.open(path) as image:
        return whole_numbers(np.array(image))


def read_checked(
    path: PathLike,
    image_path: Optional[PathLike],
    num_classes: int,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
    label_map: Optional[Mapping[int, int]] = None,
) -> np.ndarray:
    """Label map of a file, checked against its image.

    Args:
        path (str | Path): Label file.
        image_path (str | Path, optional): Image whose size the mask must have; None: the size is
            not checked.
        num_classes (int): Number of classes of the model.
        ignore_index (int): Id of ignored pixels. Defaults to 255.
        reduce_zero_label (bool): As in mmseg. Defaults to False.
        label_map (Mapping[int, int], optional): New id by id of the file. Defaults to None.

    Returns:
        np.ndarray: As of :func:`check_label_map`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: Naming the file and what is wrong with it.
    """
    seg_map, name = read_mask(path, ignore_index), f'the mask {path}'
    if image_path is not None:
        check_size(seg_map, image_size(image_path), name, image_path)
    return check_label_map(seg_map, num_classes, ignore_index, reduce_zero_label, label_map, name)


def check_mask(
    path: PathLike,
    image_path: Optional[PathLike],
    num_classes: int,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
) -> np.ndarray:
    """Pixels of each class in a label file that passes :func:`read_checked`.

    Args: as :func:`read_checked`.

    Returns:
        np.ndarray: int64 ``(num_classes,)``.
    """
    seg_map = read_checked(path, image_path, num_classes, ignore_index, reduce_zero_label)
    return class_pixels(seg_map, num_classes, ignore_index)


def scan_presence(
    paths: Sequence[PathLike],
    num_classes: int,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
    num_workers: int = 4,
) -> np.ndarray:
    """Classes that each label file shows.

    Args:
        paths (Sequence[str | Path]): N label files.
        num_classes (int): Number of classes.
        ignore_index (int): Id of ignored pixels. Defaults to 255.
        reduce_zero_label (bool): As in mmseg. Defaults to False.
        num_workers (int): Files that are read at the same time. Defaults to 4.

    Returns:
        np.ndarray: bool ``(N, num_classes)``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: Naming the first file that fails :func:`check_mask`.
    """

    def present(path: PathLike) -> np.ndarray:
        return check_mask(path, None, num_classes, ignore_index, reduce_zero_label) > 0

    with ThreadPoolExecutor(num_workers) as pool:
        rows = list(pool.map(present, paths))
    return np.array(rows, dtype=bool).reshape(len(paths), num_classes)
