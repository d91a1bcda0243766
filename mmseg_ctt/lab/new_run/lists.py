# Copyright (c) mmseg_ctt contributors.
"""Lists of a run: labelled, unlabelled and validation images."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ...datasets.class_cover import missing_of
from ...datasets.lists import check_names, read_list, read_stems, stem_in
from ...datasets.scenes import scene_notes, shared_scenes, without_scenes
from ...datasets.split_files import MANIFEST_NAME, TEST_NAME, write_split
from ...datasets.split_masks import count_images, draw_validation
from ...datasets.splits import SEED
from .layout import Files

USUAL = 'mine'  # name of the lists of a run without a name
RATIO, MOST = 0.2, 100  # of the masks, for validation
FEW, FEW_VAL = 10, 10  # masks below which a warning is due
NAMES = dict(
    labeled=('labeled', 'labelled', 'train_labeled', 'train'),
    unlabeled=('unlabeled', 'unlabelled', 'train_unlabeled'),
    val=('val', 'valid', 'validation'),
)
LIST = re.compile(rf'(.*/|)({"|".join(name for names in NAMES.values() for name in names)})\.txt')


@dataclass
class Lists:
    """Lists of a run.

    Attributes:
        folder (str): Below the root.
        labeled (list[str]): Stems of images with a mask.
        unlabeled (list[str]): Stems of images without one.
        val (list[str]): Stems of masked images that are kept for validation.
        test (list[str]): Stems of images that a list keeps for a test: nothing learns from them.
        facts (dict): For the manifest.
        present (bool): Whether the lists are there already.
        notes (list[str]): Lines for the user.
    """

    folder: str
    labeled: List[str]
    unlabeled: List[str]
    val: List[str]
    test: List[str] = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    present: bool = False
    notes: List[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_names([*self.labeled, *self.unlabeled, *self.val, *self.test], self.folder)

    def write(self, root: Path) -> None:
        """Write the lists and their manifest."""
        if not self.present:
            folder = root / self.folder
            val, test = self.val or None, self.test or None
            write_split(folder, self.labeled, self.unlabeled, self.facts, val=val, test=test)


def default_val(masks: int) -> int:
    """Images for validation: a fifth of those with a mask, at most 100; none of a single one."""
    return 0 if masks < 2 else max(1, min(MOST, round(RATIO * masks)))


def find_lists(root: Path, files: Files, given: Optional[str], own: str) -> Optional[str]:
    """Folder of lists that exist already; None without any.

    Args:
        root (Path): Root of the data set.
        files (Files): Of the data set.
        given (str, optional): Folder that the user names.
        own (str): Folder of the lists of this run.

    Raises:
        FileNotFoundError: If the named folder holds no list.
        ValueError: If several folders hold lists.
    """
    if given is not None:
        if not read_names(root / given):
            raise FileNotFoundError(
                f'--lists {given}: there is no labeled.txt, train.txt or val.txt in it'
            )
        return given
    if (root / own / 'labeled.txt').is_file():
        return own
    found = {match[1].rstrip('/') for match in map(LIST.fullmatch, files.others) if match}
    if len(found) > 1:
        raise ValueError(
            f'lists are in {", ".join(sorted(f or "the folder itself" for f in found))}: --lists '
            'says which to use'
        )
    return next(iter(found), None)


def other_lists(root: Path, own: str) -> List[str]:
    """Folders of lists below ``splits`` that are not those of a run."""
    found = sorted((root / 'splits').rglob('labeled.txt'))
    folders = (path.parent.relative_to(root).as_posix() for path in found)
    return [folder for folder in folders if folder != own]


def read_names(folder: Path) -> Dict[str, Path]:
    """List files of a folder by what they list."""
    found = {}
    for kind, names in NAMES.items():
        for name in reversed(names):
            if (folder / f'{name}.txt').is_file():
                found[kind] = folder / f'{name}.txt'
    return found


def read_lists(
    root: Path,
    folder: str,
    own: str,
    images: Mapping[str, str],
    masked: Sequence[str],
    apart: Optional[Mapping[str, str]] = None,
) -> Lists:
    """Lists from files that are there.

    Args:
        root (Path): Root of the data set.
        folder (str): Of the files.
        own (str): Folder of the lists of this run.
        images (Mapping[str, str]): Files by stem.
        masked (Sequence[str]): Stems of images with a mask.
        apart (Mapping[str, str], optional): Files by stem of the unlabelled images, where they have
            a folder of their own.

    Raises:
        FileNotFoundError: If a list names an image that is not there.
        ValueError: If it names images without a mask as labelled or for validation, or two lists
            name one image.
    """
    files = read_names(root / folder)
    of_kind = dict(unlabeled=images if apart is None else apart)
    read = {kind: read_stems(path, of_kind.get(kind, images), root) for kind, path in files.items()}
    val, test = read.get('val', []), held_out(root / folder, images)
    bare = set(images) - set(masked) - set(test)
    kept = {*val, *test}
    labeled = read.get('labeled', [stem for stem in masked if stem not in kept])
    if 'labeled' in files and files['labeled'].stem == 'train':
        labeled = [stem for stem in labeled if stem in set(masked)]
    for kind, stems in (('labeled', labeled), ('val', val)):
        wrong = sorted(set(stems) - set(masked))
        if wrong:
            raise ValueError(
                f'{files[kind]} names {len(wrong)} images that have no mask, such as {wrong[0]}'
            )
    unlabeled = read.get('unlabeled', sorted(bare if apart is None else apart))
    lists = Lists(own, labeled, unlabeled, val, test, dict(kind='masks', lists=folder))
    lists.present = folder == own
    apart_lists = dict(labeled=labeled, val=val, test=test, unlabeled=unlabeled)
    _check_apart(apart_lists, root / folder)
    new = set(masked) - {*labeled, *kept}
    rest = (set(images) if apart is None else set(apart)) - set(unlabeled)
    rest -= {*labeled, *kept, *new} if apart is None else set()
    rest = set(without_scenes(sorted(rest), val))
    lists.notes.append(f'{folder or "."}: its lists are used')
    lists.notes += held_notes(test)
    if lists.present and (new or rest):
        lists.notes.append(
            f'{len(new)} images with a mask and {len(rest)} without are '
            'not in these lists as such: --name NAME makes new lists, which keep the images for '
            'validation'
        )
    return lists


def seed_of(folder: Path) -> Optional[int]:
    """Seed that the validation images of lists were drawn with, by their manifest; None if none."""
    path = folder / MANIFEST_NAME
    return json.loads(path.read_text('utf-8')).get('seed') if path.is_file() else None


def asked_of(folder: Path) -> Optional[int]:
    """Images for validation that were asked for, where whole scenes gave another number."""
    path = folder / MANIFEST_NAME
    return json.loads(path.read_text('utf-8')).get('asked') if path.is_file() else None


def held_out(folder: Path, images: Mapping[str, str]) -> List[str]:
    """Stems of the images of ``test.txt`` of a folder; names of other images are skipped."""
    path = folder / TEST_NAME
    found = (stem_in(name, images) for name in read_list(path)) if path.is_file() else ()
    return [stem for stem in found if stem is not None]


def held_notes(test: Sequence[str]) -> List[str]:
    """Line about images of a test list."""
    return [f'{len(test)} images of {TEST_NAME} are kept for a test'] if test else []


def _check_apart(lists: Mapping[str, Sequence[str]], folder: Path) -> None:
    """No image is in two lists."""
    owner: Dict[str, str] = {}
    for kind, stems in lists.items():
        for stem in stems:
            if stem in owner:
                raise ValueError(
                    f'{stem} is both in the list {owner[stem]} and in the list {kind} of {folder}: '
                    'take it off one of them; where these are two images, rename one'
                )
            owner[stem] = kind


def make_lists(
    folder: str,
    stems: Sequence[str],
    presence: np.ndarray,
    names: Sequence[str],
    unlabeled: Sequence[str],
    val: Tuple[Optional[int], Sequence[str]] = (None, ()),
    seed: int = SEED,
) -> Lists:
    """New lists.

    Args:
        folder (str): Of the lists, below the root.
        stems (Sequence[str]): N images with a mask.
        presence (np.ndarray): bool ``(N, K)``, classes that their masks show.
        names (Sequence[str]): K classes.
        unlabeled (Sequence[str]): Images without one.
        val (tuple): Number of images for validation, None for the usual one; and images that
            another run of this data set has kept for it.
        seed (int): Of the images for validation. Defaults to 0.

    Raises:
        ValueError: If the number is out of range, or an unlabelled image has the name of a labelled
            one.
    """
    twice = sorted({*stems} & {*unlabeled})
    if twice:
        raise ValueError(
            f'{len(twice)} unlabelled images have the names of labelled ones, such as {twice[0]}, '
            'and lists hold names: rename the unlabelled ones'
        )
    number, kept = val
    kept = [stem for stem in kept if stem in set(stems)]
    if number is None and kept:
        chosen = sorted(kept)
        labeled, asked = sorted(set(stems) - set(chosen)), len(chosen)
    else:
        number = default_val(len(stems)) if number is None else number
        labeled, chosen = draw_validation(stems, presence, number, seed)
        asked = number
    counts = count_images(dict(labeled=labeled, val=chosen), stems, presence, names)
    facts = dict(kind='masks', val=len(chosen), asked=asked, seed=seed, class_images=counts)
    shared = shared_scenes(labeled, chosen)
    bare = sorted(unlabeled) if shared else without_scenes(sorted(unlabeled), chosen)
    lists = Lists(folder, labeled, bare, chosen, facts=facts)
    lists.notes += scene_notes([*labeled, *bare], chosen, len(unlabeled) - len(bare))
    if kept and number is None:
        lists.notes.append('the images for validation are those of the lists that are there')
    rows = np.array([stem in set(chosen) for stem in stems])
    if chosen and missing_of(presence, np.flatnonzero(rows)):
        absent = [n for n, c in counts.items() if c['all'] and not (c['val'] and c['labeled'])]
        lists.notes.append(
            f'not both in training and validation: {", ".join(absent)}; label more images that '
            'show them'
        )
    return lists


def few_notes(labeled: int, val: int) -> List[str]:
    """Lines about too few masks."""
    notes = []
    if labeled + val < FEW:
        notes.append(
            f'WARNING: {labeled + val} masks are few: results depend on which images these are; '
            f'label {FEW} and more'
        )
    if not val:
        notes.append('WARNING: no image is left for validation, so that no score is measured')
    elif val < FEW_VAL:
        notes.append(f'WARNING: a score on {val} images is rough: small differences are chance')
    return notes
