# Copyright (c) mmseg_ctt contributors.
"""Masks of a set, read before training: wrong ones are errors, suspicious ones a line to log."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from mmengine.logging import print_log

from .image_reading import decodes
from .label_check import class_pixels, read_checked

LIMIT = 256  # masks of a set that are read before a run; 2048x1024 pixels take 0.02 s each
SHOWN = 10  # classes named in a message


class MaskScan(NamedTuple):
    """Pixel counts of the masks that were read.

    Attributes:
        pixels (np.ndarray): int64 ``(N, K)``, pixels of each mask and class.
        ignored (np.ndarray): int64 ``(N,)``, ignored pixels of each mask.
        total (int): Masks that the set has.
    """

    pixels: np.ndarray
    ignored: np.ndarray
    total: int

    @property
    def read(self) -> str:
        """Which masks were read, in words."""
        number = len(self.pixels)
        return f'all {number} masks' if number == self.total else f'{number} of {self.total} masks'


def joined(scans: Sequence[MaskScan]) -> MaskScan:
    """Scans of several sets as one.

    Args:
        scans (Sequence[MaskScan]): One or more, with the same classes.
    """
    pixels, ignored, totals = zip(*scans)
    return MaskScan(np.concatenate(pixels), np.concatenate(ignored), sum(totals))


def scan_masks(
    infos: Sequence[dict],
    num_classes: int,
    limit: int = LIMIT,
    ignore_index: int = 255,
    skip_unreadable: bool = False,
    num_workers: int = 4,
) -> MaskScan:
    """Read and check up to ``limit`` masks, evenly spread.

    Nothing is drawn at random and nothing is written: every rank of a run reads the same masks.

    Args:
        infos (Sequence[dict]): What mmseg knows of each image: ``img_path``, ``seg_map_path``,
            ``label_map`` and ``reduce_zero_label``. Files that are not on this machine's disk
            (``s3://``) are left out.
        num_classes (int): Number of classes, K.
        limit (int): Masks that are read; none if 0. Defaults to 256.
        ignore_index (int): Id of ignored pixels. Defaults to 255.
        skip_unreadable (bool): Whether an image that cannot be decoded passes; the size of its
            mask is not checked. Defaults to False.
        num_workers (int): Files that are read at the same time. Defaults to 4.

    Returns:
        MaskScan: Counts after mapping to the ids of the model.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: Names the first mask that is wrong, and what is wrong with it.
    """

    def count(info: dict) -> np.ndarray:
        image = info['img_path']
        seg_map = read_checked(
            info['seg_map_path'],
            None if skip_unreadable and not decodes(image) else image,
            num_classes,
            ignore_index,
            bool(info.get('reduce_zero_label')),
            info.get('label_map'),
        )
        pixels = class_pixels(seg_map, num_classes, ignore_index)[:num_classes]  # 255: left out
        return np.append(pixels, seg_map.size - pixels.sum())

    chosen = scanned(infos, limit)
    with ThreadPoolExecutor(num_workers) as pool:
        counts = np.array(list(pool.map(count, chosen)), np.int64).reshape(-1, num_classes + 1)
    return MaskScan(counts[:, :-1], counts[:, -1], len(infos))


def scanned(infos: Sequence[dict], limit: int) -> List[dict]:
    """Entries whose masks are read: up to ``limit`` local ones, evenly spread.

    Args: as :func:`scan_masks`.
    """
    local = [info for info in infos if '://' not in info['seg_map_path'] + info['img_path']]
    step = max(1, -(-len(local) // limit)) if limit > 0 else 1
    return local[::step] if limit > 0 else []


def log_masks(
    scans: Mapping[str, MaskScan], classes: Sequence[str], ignore_index: int, required: bool
) -> None:
    """Log what is suspicious in the masks of one or several sets; rank 0 alone writes its log.

    Args:
        scans (Mapping[str, MaskScan]): By the key of the set. A class must occur in one of them.
        classes (Sequence[str]): Names of the classes.
        ignore_index (int): Id of ignored pixels, for the message.
        required (bool): Whether masks without any label are an error, not a line of the log.

    Raises:
        ValueError: If labels are required and a set has none.
    """
    lines = [unlabeled_masks(scan, key) for key, scan in scans.items()]
    for line in filter(None, lines):
        if required:
            raise ValueError(line)
    lines.append(
        suspicious_masks(joined(list(scans.values())), classes, ' and '.join(scans), ignore_index)
    )
    for line in filter(None, lines):
        print_log(line, logger='current', level=logging.WARNING)


def unlabeled_masks(scan: MaskScan, key: str) -> Optional[str]:
    """Line about masks of which every pixel is ignored; None if one has a label.

    Args:
        scan (MaskScan): Of a set.
        key (str): Key of the set in the config.
    """
    if not len(scan.pixels) or scan.pixels.any():
        return None
    return (
        f'{key}: nothing is labelled: every pixel of {scan.read} is ignored. Check the folder of '
        'the masks (data_prefix.seg_map_path), reduce_zero_label and ignore_index'
    )


def suspicious_masks(
    scan: MaskScan, classes: Sequence[str], key: str, ignore_index: int = 255
) -> Optional[str]:
    """Line about classes that no mask shows, with the likely reason; None if all occur.

    Args:
        scan (MaskScan): Of a set.
        classes (Sequence[str]): Names of the classes.
        key (str): Key of the set in the config.
        ignore_index (int): Id of ignored pixels, for the message. Defaults to 255.
    """
    shown = scan.pixels.sum(axis=0) > 0
    if not shown.any() or shown.all():
        return None
    known = [f'{k} ({name})' for k, name in enumerate(classes) if shown[k]]
    absent = [f'{k} ({name})' for k, name in enumerate(classes) if not shown[k]]
    more = f' and {len(absent) - SHOWN} more' if len(absent) > SHOWN else ''
    line = f'{key}: no pixel of {scan.read} is of class {", ".join(absent[:SHOWN])}{more}'
    return f'{line}. {_reason(scan, known, not shown[0] and len(absent) == 1, ignore_index)}'


def _reason(scan: MaskScan, known: List[str], from_one: bool, ignore_index: int) -> str:
    """What may be the matter; ``from_one``: whether 0 is the only id that is not used."""
    if len(known) == 1 and scan.ignored.any():
        return (
            f'They hold class {known[0]} and ignored pixels ({ignore_index}) only: in masks of 0 '
            f'and {ignore_index} the object is often {ignore_index}, which is ignored here. Write '
            'the id of its class instead'
        )
    if len(known) == 1:
        return (
            f'Every pixel is of class {known[0]}: are the masks empty, or is '
            'data_prefix.seg_map_path another folder?'
        )
    ids = ', or check the ids (reduce_zero_label=True where they count from 1)' if from_one else ''
    return f'Nothing is learnt or scored for such a class: label images that show it{ids}'
