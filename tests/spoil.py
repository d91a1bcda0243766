# Copyright (c) mmseg_ctt contributors.
"""What can be wrong with a data set: each function spoils the toy data in a folder."""

from pathlib import Path
from typing import Callable

import numpy as np
from PIL import Image
from toy_data import LABELED, SPLIT, UNLABELED, write_lists


def nothing(root: Path) -> None:
    """Leave all as it is."""


def no_list(root: Path) -> None:
    (root / SPLIT / 'unlabeled.txt').unlink()


def no_mask(root: Path) -> None:
    (root / 'ann' / 'l1.png').unlink()


def overlap(root: Path) -> None:
    """An image in both lists."""
    write_lists(root / SPLIT, LABELED, (*UNLABELED, 'l1'))


def wrong_id(root: Path) -> None:
    """A mask of an id that no class has."""
    Image.fromarray(np.full((32, 48), 9, np.uint8)).save(root / 'ann' / 'l2.png')


def damaged(stem: str) -> Callable[[Path], None]:
    """An image that cannot be decoded."""
    return lambda root: (root / 'img' / f'{stem}.jpg').write_bytes(b'no image at all')
