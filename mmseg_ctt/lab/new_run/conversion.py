# Copyright (c) mmseg_ctt contributors.
"""Masks of class ids from others, in a folder of their own; a second time only what is new."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, NamedTuple, Optional

import numpy as np
from PIL import Image

from ...datasets.colour_masks import read_colours, to_ids
from ...datasets.label_check import read_mask
from .labels import Labels
from .layout import RECORD
from .matching import Matched

NUM_WORKERS = 4


class Conversion(NamedTuple):
    """Masks that are written.

    Attributes:
        folder (str): Of the new masks, below the root.
        total (int): Masks that the folder holds then.
        missing (dict[str, str]): Path of the mask to read by path of the one to write.
        record (dict): What is converted how.
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
    record = dict(masks=matched.masks_dir, by=labels.by, classes=labels.source)
    path = root / folder / RECORD
    if (root / folder).exists():
        present = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None
        if present != record:
            raise ValueError(
                f'{root / folder} is there and '
                + ('was made with other classes' if present else 'was not made by new_run')
                + ': --name NAME writes to another folder'
            )
    missing = {}
    for stem, mask in matched.masks.items():
        target, source = f'{folder}/{stem}.png', '/'.join(filter(None, [matched.masks_dir, mask]))
        if not _current(root / target, root / source):
            missing[target] = source
    return Conversion(folder, len(matched.masks), missing, record)


def _current(target: Path, source: Path) -> bool:
    return target.is_file() and target.stat().st_mtime >= source.stat().st_mtime


def write_masks(root: Path, conversion: Conversion) -> None:
    """Write what is missing, uint8 PNG."""
    if not conversion.missing:
        return
    (root / conversion.folder).mkdir(parents=True, exist_ok=True)
    path = root / conversion.folder / RECORD
    path.write_text(json.dumps(conversion.record) + '\n', encoding='utf-8')
    by_value = conversion.record['by'] == 'value'

    def write(target: str) -> None:
        source = root / conversion.missing[target]
        values = read_mask(source).astype(np.int64) if by_value else read_colours(source)
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_ids(values, conversion.record['classes'])).save(root / target)

    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        list(pool.map(write, conversion.missing))
