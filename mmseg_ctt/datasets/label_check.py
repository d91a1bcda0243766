# Copyright (c) mmseg_ctt contributors.
"""Checks of label maps, and counts of their ids, before and during training."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Optional, Sequence, Union

import numpy as np
from PIL import Image

from .image_reading import image_size, stored_size

PathLike = Union[str, Path]


def check_ids(
    seg_map: np.ndarray, num_classes: int, ignore_index: int = 255, name: str = 'seg_map'
) -> None:
    """Check that a label map is 2-D and holds only known ids.

    Pixels are counted only where an id is wrong, so that a good map is checked fast.

    Args:
        seg_map (np.ndarray): Label map of any integer type.
        num_classes (int): Ids 0 to ``num_classes - 1`` are allowed.
        ignore_index (int): The one other id allowed. Defaults to 255.
        name (str): What the message calls the label map.

    Raises:
        ValueError: Naming the wrong ids with their pixel counts, or the shape
            or type.
    """
    if seg_map.ndim != 2:
        raise ValueError(
            f'{name} has shape {seg_map.shape}; a label map must '
            'be a single-channel image of class ids (colour '
            'masks have to be converted first)'
        )
    if seg_map.dtype.kind not in 'biu':
        raise ValueError(f'{name} holds {seg_map.dtype}, not integer ids')
    wrong = (seg_map >= num_classes) & (seg_map != ignore_index)
    if seg_map.dtype.kind == 'i':
        wrong |= (seg_map < 0) & (seg_map != ignore_index)
    if wrong.any():
        ids, pixels = np.unique(seg_map[wrong], return_counts=True)
        shown = ', '.join(f'{i} ({n} pixels)' for i, n in zip(ids[:10], pixels[:10]))
        more = f' and {len(ids) - 10} more' if len(ids) > 10 else ''
        raise ValueError(
            f'{name} holds ids outside 0..{num_classes - 1} and the ignore '
            f'index {ignore_index}: {shown}{more}. Set num_classes to the '
            'number of classes, set reduce_zero_label where 0 means "no '
            'class", or map void ids to the ignore index'
        )


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


def reduce_zero(seg_map: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """Subtract one from every id and set 0 to ``ignore_index``, as mmseg does.

    Args:
        seg_map (np.ndarray): Label map; it is not changed.
        ignore_index (int): Id of ignored pixels. Defaults to 255.

    Returns:
        np.ndarray: int64 label map of the same shape.
    """
    ids = seg_map.astype(np.int64)
    ignored = (ids == 0) | (ids == ignore_index)
    return np.where(ignored, ignore_index, ids - 1)


def read_mask(path: PathLike) -> np.ndarray:
    """Read a label file without changing its ids.

    Args:
        path (str | Path): Image file; palette images give their indices.

    Returns:
        np.ndarray: ``(H, W)``, or ``(H, W, C)`` for a colour image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read as an image.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the mask {path} does not exist')
    try:
        with Image.open(path) as image:
            return np.array(image)
    except (OSError, SyntaxError) as error:  # Pillow's errors for bad files
        raise ValueError(f'the mask {path} cannot be read: {error}') from None


def check_mask(
    path: PathLike,
    image_path: Optional[PathLike],
    num_classes: int,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
) -> np.ndarray:
    """Check a label file against its image, before training.

    Args:
        path (str | Path): Label file.
        image_path (str | Path, optional): Image whose size the mask must have; None: the size is
            not checked.
        num_classes (int): Number of classes.
        ignore_index (int): Id of ignored pixels. Defaults to 255.
        reduce_zero_label (bool): As in mmseg. Defaults to False.

    Returns:
        np.ndarray: int64 ``(num_classes,)`` pixels of each class.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: Naming the file and what is wrong with it.
    """
    seg_map, name = read_mask(path), f'the mask {path}'
    if image_path is not None:
        check_size(seg_map, image_size(image_path), name, image_path)
    if reduce_zero_label:
        seg_map = reduce_zero(seg_map, ignore_index)
    check_ids(seg_map, num_classes, ignore_index, name)
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
