# Copyright (c) mmseg_ctt contributors.
"""Checks of image-level tags before a run: how many images each has, and whether masks agree."""

import logging
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from mmengine.logging import print_log

from ..volumes.address import real_address
from .tag_files import SHOWN
from .wrappers import leaves


def background_of(dataset: Any) -> Optional[str]:
    """Name of class 0 of a data set where that is the background, which is no tag; else None.

    Args:
        dataset (AnySet): With classes.
    """
    leaf = leaves(dataset)[0]
    if hasattr(leaf, 'background_name'):
        return leaf.background_name
    return usual_background(leaf.metainfo.get('classes') or ())


def usual_background(classes: Sequence[str]) -> Optional[str]:
    """The first class, if it is called background."""
    first = next(iter(classes), '')
    return first if first.lower().strip('_') == 'background' else None


def count_tags(matrix: np.ndarray, classes: Sequence[str], background: Optional[str]) -> str:
    """Images of each tag as a line.

    Args:
        matrix (np.ndarray): uint8 ``(N, C)``, tags of N images.
        classes (Sequence[str]): C names.
        background (str, optional): Name of class 0, where that is no tag.
    """
    counts = matrix.sum(axis=0, dtype=int)
    each = ', '.join(f'{name} {n}' for name, n in zip(classes, counts) if name != background)
    empty = int((matrix.sum(axis=1) == 0).sum())
    none = f', {empty} images without any' if empty else ''
    return (
        f'{len(matrix)} images, {matrix.sum() / max(len(matrix), 1):.2f} tags an image{none}; '
        f'images of each tag: {each}'
    )


def absent_tags(
    matrix: np.ndarray, classes: Sequence[str], background: Optional[str]
) -> Optional[str]:
    """Line about classes that are a tag of no image; None if all are.

    Args: as :func:`count_tags`.
    """
    counts = matrix.sum(axis=0)
    absent = [name for name, n in zip(classes, counts) if not n and name != background]
    if not absent:
        return None
    return (
        f'no image has the tag {", ".join(absent[:10])}'
        f'{f" and {len(absent) - 10} more" if len(absent) > 10 else ""}: tags cannot teach '
        f'{"it" if len(absent) == 1 else "them"}; add images that show '
        f'{"it" if len(absent) == 1 else "them"}, or leave the class out of metainfo.classes'
    )


def disagreement(
    names: Sequence[str], tags: np.ndarray, shown: np.ndarray, classes: Sequence[str]
) -> Optional[str]:
    """Line about images whose masks and tags differ, with counts by class; None if none do.

    Args:
        names (Sequence[str]): Of N images.
        tags (np.ndarray): bool ``(N, C)``.
        shown (np.ndarray): bool ``(N, C)``, classes that the masks show.
        classes (Sequence[str]): C names.
    """
    wrong = tags != shown
    rows = np.flatnonzero(wrong.any(axis=1))
    if not len(rows):
        return None
    parts: List[str] = []
    for k in np.flatnonzero(wrong.any(axis=0)).tolist():
        without, untagged = int((tags & ~shown)[:, k].sum()), int((shown & ~tags)[:, k].sum())
        counts = [f'{without} tagged without a pixel'] * bool(without)
        counts += [f'{untagged} with pixels and no tag'] * bool(untagged)
        parts.append(f'{classes[k]}: {", ".join(counts)}')
    examples = ', '.join(names[row] for row in rows[:SHOWN])
    return (
        f'tags and masks of {len(rows)} of {len(names)} images differ, such as {examples} '
        f'({"; ".join(parts)}): correct the tags or the masks'
    )


def tags_beside_masks(
    tagged: Any, entries: Sequence[Mapping[str, Any]], pixels: np.ndarray
) -> Optional[str]:
    """Line about images that have a mask in one source and tags in the file of another.

    Args:
        tagged (AnySet): Source of images with tags; its files of tags may name more images than
            it lists.
        entries (Sequence[Mapping]): ``img_path`` of N images of which masks were read.
        pixels (np.ndarray): ``(N, C)``, pixels of each class in the masks.
    """
    known: Dict[str, Tuple[int, ...]] = {}
    for leaf in leaves(tagged):
        known.update(getattr(leaf, 'other_tags', {}))
    addresses = [real_address(entry['img_path']) for entry in entries]
    rows = [row for row, address in enumerate(addresses) if address in known]
    if not rows:
        return None
    classes, background = tagged.metainfo['classes'], background_of(tagged)
    tags, shown = np.zeros((len(rows), len(classes)), bool), pixels[rows] > 0
    for row, made in zip(rows, tags):
        made[list(known[addresses[row]])] = True
    shown[:, [name == background for name in classes]] = False
    return disagreement([entries[row]['img_path'] for row in rows], tags, shown, classes)


def log_tags(
    key: str, matrix: np.ndarray, classes: Sequence[str], background: Optional[str]
) -> None:
    """Log how many images each tag has, and a warning of tags without images.

    Args:
        key (str): Config key of the source.
        matrix (np.ndarray): As of :func:`count_tags`.
        classes (Sequence[str]): C names.
        background (str, optional): Name of class 0, where that is no tag.
    """
    print_log(f'{key}: {count_tags(matrix, classes, background)}', 'current')
    line = absent_tags(matrix, classes, background)
    if line:
        print_log(f'{key}: {line}', 'current', logging.WARNING)
