# Copyright (c) mmseg_ctt contributors.
"""Ids of a label map: their check, and their mapping to the classes of a model."""

from typing import Mapping, Optional

import cv2
import numpy as np

IDS = 256  # that 8 bits hold, for which a table is faster than arithmetic
LEFT_OUT = 255  # of mmseg's label maps, whatever is ignored
CONVERTER = 'python tools/dataset_converters/colour_masks.py'


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
    _check_form(seg_map, name)
    wrong = (seg_map >= num_classes) & (seg_map != ignore_index)
    if seg_map.dtype.kind == 'i':
        wrong |= (seg_map < 0) & (seg_map != ignore_index)
    if wrong.any():
        ids, pixels = np.unique(seg_map[wrong], return_counts=True)
        shown = ', '.join(f'{i} ({n} pixels)' for i, n in zip(ids[:10], pixels[:10]))
        more = f' and {len(ids) - 10} more' if len(ids) > 10 else ''
        raise ValueError(
            f'{name} holds ids outside 0..{num_classes - 1} and the ignore '
            f'index {ignore_index}: {shown}{more}. '
            + _likely_reason(np.unique(seg_map[seg_map != ignore_index]), num_classes)
            + 'Set num_classes to the number of classes, set reduce_zero_label where 0 means "no '
            'class", or map void ids to the ignore index'
        )


def _check_form(seg_map: np.ndarray, name: str) -> None:
    """A label map has two dimensions and holds integers."""
    if seg_map.ndim != 2:
        raise ValueError(
            f'{name} has shape {seg_map.shape}; a label map must be a single-channel image of '
            f'class ids: convert colour masks with {CONVERTER}'
        )
    if seg_map.dtype.kind not in 'biu':
        raise ValueError(f'{name} holds {seg_map.dtype}, not integer ids')


def _likely_reason(ids: np.ndarray, num_classes: int) -> str:
    """Why a mask may hold ids that are too large, as a sentence; '' where nothing is likely."""
    if ids[0] > 0 and ids[-1] == num_classes:
        return 'Ids must count from 0, and these may count from 1. '
    if ids[-1] > num_classes and len(ids) <= num_classes:
        return 'These may be grey levels in place of the ids 0, 1, 2, ... '
    return ''


def id_type(number: int) -> str:
    """Type of the ids in files, of 8 bits where 255 is left for pixels without a class.

    Args:
        number (int): Ids 0 to ``number - 1``.
    """
    return 'uint8' if number <= LEFT_OUT else 'uint16'


def whole_numbers(seg_map: np.ndarray) -> np.ndarray:
    """A label map of 1 bit with the ids 0 and 1, by which numpy can index; others as they are."""
    return seg_map.astype(np.uint8) if seg_map.dtype == bool else seg_map


def reduce_zero(seg_map: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """Subtract one from every id and set 0 to ``ignore_index``, as mmseg does.

    Args:
        seg_map (np.ndarray): Label map; it is not changed.
        ignore_index (int): Id of ignored pixels. Defaults to 255.

    Returns:
        np.ndarray: Label map of the same shape: uint8 for one of uint8 where ``ignore_index`` fits,
        else int64.
    """
    if _of_8_bit(seg_map) and 0 <= ignore_index < IDS:
        table = np.arange(-1, IDS - 1)
        table[[0, ignore_index]] = ignore_index
        return cv2.LUT(seg_map, table.astype(np.uint8))
    ids = seg_map.astype(np.int64)
    ignored = (ids == 0) | (ids == ignore_index)
    return np.where(ignored, ignore_index, ids - 1)


def map_ids(seg_map: np.ndarray, label_map: Mapping[int, int]) -> np.ndarray:
    """Replace ids by others, as mmseg does where a config chooses or orders classes.

    Args:
        seg_map (np.ndarray): Label map; it is not changed.
        label_map (Mapping[int, int]): New id by old id; other ids stay, negative ones too.

    Returns:
        np.ndarray: Label map of the same shape: uint8 for one of uint8 where all new ids fit, else
        int64.
    """
    if _of_8_bit(seg_map) and all(0 <= new < IDS for new in label_map.values()):
        small = np.arange(IDS, dtype=np.uint8)
        for old, new in label_map.items():
            if 0 <= old < IDS:
                small[old] = new
        return cv2.LUT(seg_map, small)
    table = np.arange(max(int(seg_map.max(initial=0)), *label_map) + 1)
    for old, new in label_map.items():
        table[old] = new
    if seg_map.dtype.kind == 'u':
        return table[seg_map]
    return np.where(seg_map < 0, seg_map, table[np.maximum(seg_map, 0)])  # one may be ignored


def _of_8_bit(seg_map: np.ndarray) -> bool:
    """Whether OpenCV maps it by a table."""
    return seg_map.dtype == np.uint8 and seg_map.size > 0


def check_label_map(
    seg_map: np.ndarray,
    num_classes: int,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
    label_map: Optional[Mapping[int, int]] = None,
    name: str = 'seg_map',
) -> np.ndarray:
    """Label map of a model from that of a file, checked before and mapped as mmseg maps it.

    Args:
        seg_map (np.ndarray): Label map as the file holds it.
        num_classes (int): Number of classes of the model.
        ignore_index (int): Id of ignored pixels. Defaults to 255.
        reduce_zero_label (bool): Whether 0 is no class. Defaults to False.
        label_map (Mapping[int, int], optional): New id by id of the file, which has as many
            classes as the mapping has entries; 255, mmseg's mark of a class that is left out,
            stands for ``ignore_index``. Defaults to None.
        name (str): What the message calls the label map.

    Returns:
        np.ndarray: ``(H, W)`` integers in ``[0, num_classes)``, or ``ignore_index``.

    Raises:
        ValueError: Naming what :func:`check_ids` finds.
    """
    seg_map = whole_numbers(seg_map)
    if reduce_zero_label:
        _check_form(seg_map, name)
        seg_map = reduce_zero(seg_map, ignore_index)
    check_ids(seg_map, len(label_map or ()) or num_classes, ignore_index, name)
    if not label_map:
        return seg_map
    if num_classes <= LEFT_OUT:  # else it is a class
        label_map = {k: ignore_index if new == LEFT_OUT else new for k, new in label_map.items()}
    return map_ids(seg_map, label_map)
