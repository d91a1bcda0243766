# Copyright (c) mmseg_ctt contributors.
"""Masks of class ids from others, in a folder of their own; a second time only what is new."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, NamedTuple, Optional

import numpy as np
from PIL import Image

from ...datasets.colour_masks import to_ids
from ...datasets.converted_masks import RECORD, is_current, read_record, stamp_of, stamps_of
from ...datasets.label_check import read_mask
from ...datasets.mask_colours import NO_DATA, read_colours
from ...engine.files import write_whole
from .labels import Labels
from .matching import Matched

NUM_WORKERS = 4
MEANING = ('masks', 'by', 'classes')  # keys of a record that a second call must have as well


class Conversion(NamedTuple):
    """Masks that are written.

    Attributes:
        folder (str): Of the new masks, below the root.
        total (int): Masks that the folder holds then.
        missing (dict[str, str]): Path of the mask to read by path of the one to write.
        record (dict): What is converted how, and each mask as it was then.
    """

    folder: str
    total: int
    missing: Dict[str, str]
    record: dict

    def __str__(self) -> str:
        if not self.missing:
            return f'{self.folder}: holds the {self.total} masks of class ids already'
        return f'{self.folder}: {len(self.missing)} masks of class ids written, of {self.total}'


def ids_folder(matched: Matched, name: Optional[str]) -> str:
    """Folder for the ids of masks, beside that of the masks.

    Args:
        matched (Matched): Images and masks.
        name (str, optional): Of the run.
    """
    end = f'_ids_{name}' if name else '_ids'
    if matched.masks_dir != matched.images_dir:
        return matched.masks_dir + end
    return f'{matched.images_dir}_masks{end}' if matched.images_dir else f'masks{end}'


def plan_conversion(
    root: Path, matched: Matched, labels: Labels, name: Optional[str] = None
) -> Conversion:
    """Find out which masks have to be written; writes nothing.

    Args:
        root (Path): Root of the data set.
        matched (Matched): Images and masks.
        labels (Labels): Meaning of the values.
        name (str, optional): Of the run.

    Raises:
        ValueError: If the folder holds other masks.
    """
    folder = ids_folder(matched, name)
    record: dict = dict(masks=matched.masks_dir, by=labels.by, classes=labels.source)
    present = read_record(root / folder)
    if (root / folder).exists() and (present is None or _meaning(present) != record):
        raise ValueError(
            f'{root / folder} is there and '
            + ('was made with other classes' if present else 'was not made by new_run')
            + ': --name NAME writes to another folder'
        )
    stamps, missing = stamps_of(present or {}), {}
    for stem, mask in matched.masks.items():
        name_there, source = f'{stem}.png', '/'.join(filter(None, [matched.masks_dir, mask]))
        stamp = stamps.get(name_there)
        same = stamp is not None and stamp.source == source and is_current(root / source, stamp)
        if not same or not (root / folder / name_there).is_file():
            missing[f'{folder}/{name_there}'] = source
    sources = {key: list(stamp) for key, stamp in stamps.items()}
    record.update(name=name, sources=sources)
    return Conversion(folder, len(matched.masks), missing, record)


def _meaning(record: dict) -> dict:
    return {key: record.get(key) for key in MEANING}


def write_masks(root: Path, conversion: Conversion) -> None:
    """Write what is missing, uint8 PNG."""
    if not conversion.missing:
        return
    (root / conversion.folder).mkdir(parents=True, exist_ok=True)
    sources = conversion.record['sources']
    for target in conversion.missing:  # one that is not written whole has no stamp
        sources.pop(_below(target, conversion.folder), None)
    _write_record(root, conversion)
    by_value = conversion.record['by'] == 'value'

    def write(target: str) -> None:
        source = root / conversion.missing[target]
        stamp = stamp_of(root, conversion.missing[target])  # before it is read: it may change
        if by_value:
            values = read_mask(source, NO_DATA).astype(np.int64)
        else:
            values = read_colours(source)
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_ids(values, conversion.record['classes'])).save(root / target)
        sources[_below(target, conversion.folder)] = list(stamp)

    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        list(pool.map(write, conversion.missing))
    _write_record(root, conversion)


def _below(target: str, folder: str) -> str:
    return target[len(folder) + 1 :]


def _write_record(root: Path, conversion: Conversion) -> None:
    text = json.dumps(conversion.record, sort_keys=True) + '\n'
    write_whole(root / conversion.folder / RECORD, text)
