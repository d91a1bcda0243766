# Copyright (c) mmseg_ctt contributors.
"""Folders of images and masks in a data set, by their usual names."""

from collections import defaultdict
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from ...datasets.converted_masks import RECORD
from ...datasets.image_files import IMAGE_SUFFIXES, file_names
from .words import IMAGES, MASKS, TRAIN, Role, role_of

OUTPUTS = ('runs', 'splits', 'work_dirs', 'pseudo_labels')  # folders of results


class Files(NamedTuple):
    """Files of a data set, paths below its root.

    Attributes:
        images (list[str]): Images and masks, without results of this package.
        others (list[str]): Files of other types.
    """

    images: List[str]
    others: List[str]


class Pair(NamedTuple):
    """Folder of images, and that of their masks, below the root; '' is the root.

    Attributes:
        images (str): Folder of the images.
        masks (str | None): Folder of the masks, which may be that of the images; None: not known.
    """

    images: str
    masks: Optional[str]


def list_files(root: Path) -> Files:
    """Files below a folder, without hidden ones and without results.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    names = [name for name in file_names(root) if name.split('/')[0] not in OUTPUTS]
    made = {name.rpartition('/')[0] for name in names if name.rpartition('/')[2] == RECORD}
    names = [name for name in names if not any(_below(name, folder) for folder in made)]
    images = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
    return Files(images, sorted(set(names) - set(images)))


def _below(name: str, folder: str) -> bool:
    return not folder or name.startswith(f'{folder}/')


def find_pairs(
    files: Files, images: Optional[str] = None, masks: Optional[str] = None
) -> Tuple[Dict[str, Pair], List[str]]:
    """Folders of images and masks, by the part of the data set: train, val, test, unlabeled.

    Args:
        files (Files): Of the data set.
        images (str, optional): Folder of the training images, if the user names it.
        masks (str, optional): Folder of their masks, if the user names it.

    Returns:
        tuple: Folders by part, and lines about folders that are left out.

    Raises:
        FileNotFoundError: If a named folder holds no image.
        ValueError: If several folders could be meant.
    """
    for option, given in (('--images', images), ('--masks', masks)):
        if given is not None and not any(_below(name, given) for name in files.images):
            raise FileNotFoundError(f'{option} {given}: no such folder, or no image in it')
    roots, plain = _roots(files.images)
    pairs, lines = {}, []
    for part in (TRAIN, *sorted({part for _, part in roots} - {TRAIN})):
        of_masks = roots.get((MASKS, part), [])
        of_images = roots.get((IMAGES, part), [])
        if part == TRAIN and images is not None:
            of_images = [images]
        if part == TRAIN and masks is not None:
            of_masks = [masks]
        if not of_images and part == TRAIN and plain:
            of_images, plain = [_common(plain, masks)], []
        if not of_images:
            continue
        pairs[part] = Pair(
            _single(of_images, part, 'images'),
            _single(of_masks, part, 'masks') if of_masks else None,
        )
    if plain and images is None:
        lines.append(
            f'{len(plain)} images outside the folders above are left out, such as {plain[0]} '
            '(--images names another folder)'
        )
    return pairs, lines


def _roots(names: List[str]) -> Tuple[Dict[Tuple[str, str], List[str]], List[str]]:
    """Folders by kind and part, and images in folders whose names say nothing."""
    found: Dict[Tuple[str, str], set] = defaultdict(set)
    plain: List[str] = []
    for name in names:
        folders = name.split('/')[:-1]
        role, depth = _role(folders)
        if role.kind or role.part:
            found[role.kind or '', role.part or TRAIN].add('/'.join(folders[:depth]))
        else:
            plain.append(name)
    for kind, part in list(found):  # folders such as val/ alone, where no other has the images
        if not kind and (IMAGES, part) not in found:
            found[IMAGES, part] = found['', part]
    return {key: sorted(roots) for key, roots in found.items() if key[0]}, plain


def _role(folders: List[str]) -> Tuple[Role, int]:
    """Role of a path by its first folders that have one, and the number of folders up to there."""
    kind = part = None
    depth = 0
    for number, folder in enumerate(folders, 1):
        role = role_of(folder)
        if (role.kind and kind is None) or (role.part and part is None):
            depth = number
        kind, part = kind or role.kind, part or role.part
    return Role(kind, part), depth


def _common(names: List[str], masks: Optional[str]) -> str:
    """Folder that all images have in common, without those of the masks."""
    kept = [name for name in names if not masks or not _below(name, masks)] or names
    folders = [name.split('/')[:-1] for name in kept]
    common = folders[0]
    for other in folders[1:]:
        length = next(
            (k for k, (a, b) in enumerate(zip(common, other)) if a != b),
            min(len(common), len(other)),
        )
        common = common[:length]
    return '/'.join(common)


def _single(folders: List[str], part: str, kind: str) -> str:
    """The one folder of a kind.

    Raises:
        ValueError: If there are several.
    """
    outer = [f for f in folders if not any(f != o and _below(f, o) for o in folders)]
    if len(outer) == 1:
        return outer[0]
    where = '' if part == TRAIN else f' of the part {part}'
    remedy = f'--{kind} says which' if part == TRAIN else 'move or rename those that are not meant'
    raise ValueError(f'several folders may hold the {kind}{where}: {", ".join(outer)}; {remedy}')
