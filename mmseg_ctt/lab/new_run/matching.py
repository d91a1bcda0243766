# Copyright (c) mmseg_ctt contributors.
"""Masks of images: by equal names, by a longer ending, or by the words of the names."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from ...datasets.image_files import IMAGE_SUFFIXES
from .layout import Files, Pair
from .words import file_key, names_mask

AMBIGUOUS = 0.1  # ratio of masks with a second ending from which the ending is asked for


@dataclass
class Matched:
    """Images of a part of the data set, and their masks.

    Attributes:
        images_dir (str): Folder of the images, below the root.
        images (dict[str, str]): Files below it, by stem.
        masks_dir (str): Folder of the masks.
        masks (dict[str, str]): Files below it, by the stem of their image.
        suffix (str | None): Ending of all masks behind the stem; None: names follow no such rule.
        notes (list[str]): Lines for the user.
    """

    images_dir: str
    images: Dict[str, str]
    masks_dir: str = ''
    masks: Dict[str, str] = field(default_factory=dict)
    suffix: Optional[str] = None
    notes: List[str] = field(default_factory=list)


def match(files: Files, pair: Pair, suffix: Optional[str] = None) -> Matched:
    """Find the images of a folder and their masks.

    Args:
        files (Files): Of the data set.
        pair (Pair): Folders.
        suffix (str, optional): Ending of the masks, such as ``'_GT.png'``. Defaults to None: found.

    Raises:
        ValueError: If two images have one stem, masks have several endings, or images and masks of
            equal stems share a folder.
    """
    names = names_in(files.images, pair.images)
    shared = pair.masks in (None, pair.images)
    if not shared and pair.masks and _inside(pair.masks, pair.images):
        below = pair.masks[len(pair.images) + 1 if pair.images else 0 :]
        names = [name for name in names if not _inside(name, below)]
    if shared:
        found = _masks_among(names, suffix)
        images = _by_stem([name for name in names if name not in set(found)], pair.images)
    else:
        found = names_in(files.images, pair.masks or '')
        images = _by_stem(names, pair.images)
    matched = Matched(pair.images, images, pair.images if shared else pair.masks or '')
    if found:
        _assign(matched, found, suffix)
    return matched


def names_in(names: Sequence[str], folder: str) -> List[str]:
    """Paths below a folder of those that lie in it."""
    return [name[len(folder) + 1 if folder else 0 :] for name in names if _inside(name, folder)]


def _inside(name: str, folder: str) -> bool:
    return not folder or name.startswith(f'{folder}/')


def stem_of(name: str) -> str:
    """Path without suffix."""
    ending = next((end for end in IMAGE_SUFFIXES if name.lower().endswith(end)), '')
    return name[: len(name) - len(ending)] if ending else name


def _by_stem(names: Sequence[str], folder: str) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for name in names:
        stem = stem_of(name)
        if stem in found:
            raise ValueError(
                f'{found[stem]} and {name} in {folder or "the folder"} have one stem: if one is '
                'the mask of the other, move the masks to a folder of their own, masks/; if both '
                'are images, rename one'
            )
        found[stem] = name
    return dict(sorted(found.items()))


def _masks_among(names: Sequence[str], suffix: Optional[str]) -> List[str]:
    """Masks in a folder of images: their names say so, and an image of the same key is there."""
    if suffix is not None:
        return [name for name in names if name.lower().endswith(suffix.lower())]
    possible = [name for name in names if names_mask(stem_of(name))]
    others = {file_key(stem_of(name)) for name in set(names) - set(possible)}
    return [name for name in possible if file_key(stem_of(name)) in others]


def _assign(matched: Matched, found: Sequence[str], suffix: Optional[str]) -> None:
    """Give each image its mask."""
    endings: Dict[str, Dict[str, str]] = {}
    for name in found:
        stem = _image_of(name, matched.images)
        if stem is not None and not name[len(stem)].isalnum():
            endings.setdefault(name[len(stem) :].lower(), {})[stem] = name
    if suffix is not None:
        matched.masks, matched.suffix = endings.get(suffix.lower(), {}), suffix
    else:
        exact = {end: masks for end, masks in endings.items() if end in IMAGE_SUFFIXES}
        for group in (exact, endings):
            if group and not matched.masks:
                _take(matched, group)
        if not matched.masks:
            _by_key(matched, found)
    _note_rest(matched, found)


def _image_of(name: str, images: Dict[str, str]) -> Optional[str]:
    """Longest stem of an image that a mask's name begins with."""
    return next((name[:k] for k in range(len(name) - 1, 0, -1) if name[:k] in images), None)


def _take(matched: Matched, endings: Dict[str, Dict[str, str]]) -> None:
    """Take the masks of all endings, or of the most frequent one where images have several."""
    counts = Counter({end: len(masks) for end, masks in endings.items()}).most_common()
    main = endings[counts[0][0]]
    doubled = [len(masks.keys() & main.keys()) for masks in endings.values() if masks is not main]
    if max(doubled, default=0) > AMBIGUOUS * len(main):
        raise ValueError(
            f'images in {matched.images_dir or "the folder"} have several masks in '
            f'{matched.masks_dir or "the folder"}, with the endings '
            f'{", ".join(end for end, _ in counts)}: --suffix {counts[0][0]} says which are meant'
        )
    if any(doubled) or len(endings) == 1:
        matched.masks, matched.suffix = main, counts[0][0]
    else:
        matched.masks = {stem: name for masks in endings.values() for stem, name in masks.items()}


def _by_key(matched: Matched, found: Sequence[str]) -> None:
    """Match by what is left of names without words such as ``mask``."""
    keys: Dict[str, List[str]] = {}
    for stem in matched.images:
        keys.setdefault(file_key(stem), []).append(stem)
    masks: Dict[str, List[str]] = {}
    for name in found:
        masks.setdefault(file_key(stem_of(name)), []).append(name)
    unique = [key for key in masks if key in keys and len(keys[key]) == 1]
    double = [key for key in unique if len(masks[key]) > 1]
    if double:
        raise ValueError(
            f'{keys[double[0]][0]} has several masks: {", ".join(masks[double[0]][:4])}: --suffix '
            'says how the names of those end that are meant'
        )
    matched.masks = {keys[key][0]: masks[key][0] for key in sorted(unique)}
    if matched.masks:
        stem, name = next(iter(matched.masks.items()))
        matched.notes.append(
            f'masks and images have other names, and were paired without words such as "mask": '
            f'{matched.images[stem]} with {name}'
        )


def _note_rest(matched: Matched, found: Sequence[str]) -> None:
    rest = sorted(set(found) - set(matched.masks.values()))
    if rest:
        matched.notes.append(
            f'{len(rest)} masks in {matched.masks_dir or "the folder"} belong to no image, such as '
            f'{rest[0]}: a mask has the name of its image, with one ending for all'
        )


def looks_like(root: Path, names: Sequence[str], limit: int = 64) -> bool:
    """Whether files look like masks: no more than ``limit`` colours in the first of them.

    Args:
        root (Path): Folder of the files.
        names (Sequence[str]): Paths below it.
        limit (int): Colours that a mask may have. Defaults to 64.
    """
    from PIL import Image

    for name in names[:3]:
        try:
            with Image.open(root / name) as image:
                colours = image.convert('RGB').getcolors(maxcolors=limit)
        except (OSError, Image.DecompressionBombError):
            return False
        if colours is None:
            return False
    return bool(names)
