# Copyright (c) mmseg_ctt contributors.
"""Which lists a run has: its own, those that the folder holds, or new ones."""

from pathlib import Path
from typing import List, NamedTuple, Optional

import numpy as np

from ...datasets.lists import read_list, read_stems
from ...datasets.scenes import scene_notes
from ...datasets.split_files import LIST_NAMES
from ...datasets.split_masks import draw_validation
from ...datasets.splits import SEED
from .found import Found
from .lists import (
    USUAL,
    Lists,
    asked_of,
    find_lists,
    held_notes,
    held_out,
    make_lists,
    other_lists,
    read_lists,
    read_names,
    seed_of,
)
from .words import TRAIN, UNLABELED, VAL


class Wanted(NamedTuple):
    """Options of the user about lists; None is one that is not given.

    Attributes:
        lists (str | None): Folder of lists.
        val (int | None): Images for validation.
        name (str | None): Of the run.
        seed (int | None): Of the images for validation.
    """

    lists: Optional[str] = None
    val: Optional[int] = None
    name: Optional[str] = None
    seed: Optional[int] = None

    @property
    def drawn(self) -> int:
        """Seed that draws."""
        return SEED if self.seed is None else self.seed

    @property
    def own(self) -> str:
        """Folder of the lists of the run, below the root."""
        return f'splits/{self.name or USUAL}'


def choose_lists(found: Found, wanted: Wanted) -> Lists:
    """Lists of a run, checked; nothing is written.

    Args:
        found (Found): What the folder holds.
        wanted (Wanted): Options of the user.

    Raises:
        FileNotFoundError: If a list names an image that is not there.
        ValueError: If options and lists do not go together, or no image is left to learn from.
    """
    root, own = found.root, wanted.own
    if VAL in found.masks:
        for option, value in (('--val', wanted.val), ('--seed', wanted.seed)):
            if value is not None:
                raise ValueError(
                    f'{option} {value} is for training images kept for validation, but '
                    f'{found.parts[VAL].images_dir} has images for it: leave {option} out, or move '
                    'them'
                )
    if wanted.val == 0 and wanted.seed is not None:
        raise ValueError(
            f'--seed {wanted.seed} draws images for validation, and --val 0 keeps none: leave one '
            'out'
        )
    made = (root / own / LIST_NAMES[0]).is_file()
    new = bool(wanted.name) and wanted.lists is None and not made
    present = None if new else find_lists(root, found.files, wanted.lists, own)
    if present is None:
        return _new_lists(found, wanted)
    lists = _present_lists(found, present, wanted)
    if made and not lists.present and not _same_lists(root / own, lists):
        raise ValueError(
            f'{own} holds other lists than {present}, and configs that use them: --name NAME '
            'makes another run'
        )
    if not lists.labeled:
        path = read_names(root / present).get('labeled', root / present)
        raise ValueError(
            f'{path} leaves no image with a mask to learn from: label some of its images, or give '
            'other lists (--lists; --name NAME makes new ones)'
        )
    lists.notes += scene_notes([*lists.labeled, *lists.unlabeled], lists.val)
    return lists


def _present_lists(found: Found, present: str, wanted: Wanted) -> Lists:
    """Lists that are there, with images for validation where they name none."""
    root, train = found.root, found.train
    unlabeled = found.parts.get(UNLABELED)
    apart = unlabeled.images if unlabeled else None
    lists = read_lists(root, present, wanted.own, train.images, list(train.masks), apart)
    bare = not lists.present and VAL not in found.masks and 'val' not in read_names(root / present)
    if bare and wanted.val is not None:
        _draw(found, lists, wanted.val, wanted.drawn)
        return lists
    if bare:
        _take_over(found, lists)
    if wanted.val is not None and wanted.val not in (len(lists.val), asked_of(root / present)):
        raise ValueError(
            f'--val {wanted.val}, but the lists in {present} keep {len(lists.val)} images for '
            'validation: --name NAME makes other lists'
        )
    if wanted.seed is not None and wanted.seed != seed_of(root / present):
        other = '--val N draws them of these lists' if bare else '--name NAME makes other lists'
        raise ValueError(
            f'--seed {wanted.seed} draws images for validation, and the lists in {present} are '
            f'there, drawn otherwise: {other}'
        )
    return lists


def _draw(found: Found, lists: Lists, number: int, seed: int) -> None:
    """Draw images for validation of the labelled ones of lists that name none."""
    rows = dict(zip(found.train.masks, np.array(found.presence(TRAIN)) > 0))
    presence = np.array([rows[stem] for stem in lists.labeled])
    lists.labeled, lists.val = draw_validation(lists.labeled, presence, number, seed)
    lists.facts.update(val=len(lists.val), asked=number, seed=seed)


def _take_over(found: Found, lists: Lists) -> None:
    """The images for validation, and the test, of the usual run, taken off lists that name none."""
    val, test = _kept(found), held_out(found.root / 'splits' / USUAL, found.train.images)
    if not val:
        return
    held = {*val, *test}
    before = len(lists.labeled) + len(lists.unlabeled)
    lists.labeled = [stem for stem in lists.labeled if stem not in held]
    lists.unlabeled = [stem for stem in lists.unlabeled if stem not in held]
    lists.val, lists.test = val, lists.test or test
    taken = before - len(lists.labeled) - len(lists.unlabeled)
    lists.notes.append(
        f'the images for validation are those of splits/{USUAL}'
        + (f'; {taken} images of it are taken off these lists' if taken else '')
    )
    lists.facts.update(val=len(val))


def _new_lists(found: Found, wanted: Wanted) -> Lists:
    root, train = found.root, found.train
    unlabeled = found.parts.get(UNLABELED)
    has_val = VAL in found.masks
    test = held_out(root / 'splits' / USUAL, train.images) or held_out(root, train.images)
    bare = set(unlabeled.images) if unlabeled else set(train.images) - {*train.masks, *test}
    rows = [i for i, stem in enumerate(train.masks) if stem not in set(test)]
    if not rows:
        raise ValueError(
            f'all {len(train.masks)} images with a mask are on a test list, and none is left to '
            'learn from: take some off it'
        )
    stems = list(train.masks)
    presence = np.array(found.presence(TRAIN))[rows] > 0
    kept = [] if wanted.val is not None or has_val else _kept(found)
    if kept and wanted.seed is not None:
        raise ValueError(
            f'--seed {wanted.seed} draws images for validation, and those of splits/{USUAL} are '
            f'used: --val {len(kept)} draws others'
        )
    lists = make_lists(
        wanted.own,
        [stems[i] for i in rows],
        presence,
        found.labels.names,
        sorted(bare),
        (0 if has_val else wanted.val, kept),
        wanted.drawn,
    )
    lists.test = test
    lists.notes += held_notes(test)
    others = [] if wanted.name else other_lists(root, wanted.own)
    if others:
        lists.notes.append(f'lists are in {", ".join(others[:5])}, too: --lists uses one of them')
    return lists


def _same_lists(folder: Path, lists: Lists) -> bool:
    """Whether lists are those of a folder."""
    read = {kind: read_list(path) for kind, path in read_names(folder).items()}
    return [read.get(kind, []) for kind in ('labeled', 'unlabeled', 'val')] == [
        lists.labeled,
        lists.unlabeled,
        lists.val,
    ]


def _kept(found: Found) -> List[str]:
    """Images for validation of the usual run, for another run of the same folder.

    Raises:
        FileNotFoundError: If one of them is not there.
        ValueError: If one of them has no mask.
    """
    path = read_names(found.root / 'splits' / USUAL).get('val')
    if path is None:
        return []
    kept = read_stems(path, found.train.images, found.root / found.train.images_dir)
    bare = [stem for stem in kept if stem not in found.train.masks]
    if bare:
        raise ValueError(
            f'{path} names {len(bare)} images that have no mask, such as {bare[0]}: label them, or '
            'take them off the list'
        )
    return kept
