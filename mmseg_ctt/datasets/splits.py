# Copyright (c) mmseg_ctt contributors.
"""Splits of a data set into a labelled and an unlabelled part."""

import math
from fractions import Fraction
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from .class_cover import find_cover, names_of
from .split_files import (
    DrawnSplit,
    check_unique,
    file_sha256,
    missing_classes,
    read_list,
    stems_sha256,
    verify_split,
    write_drawn,
    write_split,
)

__all__ = [
    'DrawnSplit',
    'check_unique',
    'file_sha256',
    'make_split',
    'missing_classes',
    'num_from_fraction',
    'presence_counts',
    'random_ranking',
    'random_split',
    'read_list',
    'sequence_split',
    'split_by_prefix',
    'stems_sha256',
    'verify_split',
    'write_drawn',
    'write_split',
]


SEED = 0  # where none is given


def random_ranking(num_images: int, seed: int) -> np.ndarray:
    """Random order of ``num_images`` indices, the same on every machine.

    The raw 64-bit stream of PCG64 is sorted instead of calling
    ``Generator.permutation``: numpy promises never to change the stream of a
    bit generator, but may change how ``Generator`` methods use it.

    Args:
        num_images (int): Number of indices.
        seed (int): Non-negative seed.

    Returns:
        np.ndarray: int64 permutation of shape ``(num_images,)``.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f'the seed must not be negative, got {seed}')
    keys = np.random.PCG64(seed).random_raw(num_images)
    return np.argsort(keys, kind='stable').astype(np.int64)


def make_split(
    presence: np.ndarray, num_labeled: int, seed: int, class_names: Optional[Sequence[str]] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """Draw a labelled part that shows every class of the data.

    A seed gives one order of the images: first a cover of the classes (from
    the rarest class on, the first image in random order that shows it), then
    the rest in random order. The labelled part is the head of this order, so
    with one seed every smaller labelled part is a subset of the larger ones.
    If ``num_labeled`` is smaller than that cover, a smaller cover is searched
    for, and the parts are no longer subsets of one another.

    Args:
        presence (np.ndarray): bool ``(N, K)``, whether image n shows class k.
            A class that no image shows is ignored.
        num_labeled (int): Size of the labelled part, 1 to N.
        seed (int): Non-negative seed.
        class_names (Sequence[str], optional): K names for error messages.

    Returns:
        tuple[np.ndarray, np.ndarray]: Labelled and unlabelled indices, int64,
        ascending, disjoint, together all of ``range(N)``.

    Raises:
        ValueError: If an argument is out of range, or if no ``num_labeled``
            images were found that show all classes (the message names those
            left out).
    """
    presence = np.asarray(presence)
    if presence.ndim != 2:
        raise ValueError(f'presence must be an (images, classes) array, got shape {presence.shape}')
    num_images = len(presence)
    if not 1 <= num_labeled <= num_images:
        raise ValueError(
            f'cannot label {num_labeled} of {num_images} images; '
            f'choose a number from 1 to {num_images}'
        )
    ranking = random_ranking(num_images, seed)
    cover, missing = find_cover(presence.astype(bool)[ranking], num_labeled)
    if missing:
        raise ValueError(
            f'no {num_labeled} images showing every class of the data were '
            f'found; left out: {", ".join(names_of(missing, class_names))}. '
            'Label more images'
        )
    rest = np.setdiff1d(np.arange(num_images), cover)
    order = ranking[np.concatenate([cover, rest])]
    return np.sort(order[:num_labeled]), np.sort(order[num_labeled:])


def split_by_prefix(stems: Sequence[str], prefixes: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
    """Labelled part of whole sequences: the stems that start with a prefix.

    Args:
        stems (Sequence[str]): N stems.
        prefixes (Sequence[str]): Prefixes of the labelled stems.

    Returns:
        tuple[np.ndarray, np.ndarray]: Labelled and unlabelled int64 indices.

    Raises:
        ValueError: If no stem starts with a prefix, or all stems are labelled.
    """
    for prefix in prefixes:
        if not any(stem.startswith(prefix) for stem in stems):
            raise ValueError(
                f'no stem starts with {prefix!r}; stems look like {", ".join(stems[:3])}'
            )
    chosen = np.array([s.startswith(tuple(prefixes)) for s in stems], bool)
    if chosen.all():
        raise ValueError(
            f'all {len(stems)} stems start with {" or ".join(prefixes)}: nothing is unlabelled'
        )
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def num_from_fraction(fraction: str, num_images: int) -> int:
    """Size of the labelled part for a fraction, rounded up.

    Rounding up gives the sizes of the published lists: 662 of the 10582 VOC
    images for 1/16, 372 of the 2975 Cityscapes images for 1/8.

    Args:
        fraction (str): ``'1/8'`` or ``'0.125'``, above 0 and at most 1.
        num_images (int): Size of the whole training part.

    Returns:
        int: Number of labelled images.

    Raises:
        ValueError: If the text is no such fraction.
    """
    try:
        value = Fraction(fraction)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value <= 1:
        raise ValueError(
            f'the fraction must look like 1/8 or 0.125, above 0 and at most 1, got {fraction!r}'
        )
    return math.ceil(value * num_images)


def presence_counts(
    presence: np.ndarray, labeled_idx: np.ndarray, class_names: Optional[Sequence[str]] = None
) -> Dict[str, Dict[str, int]]:
    """Number of images that show each class, for the manifest.

    Args:
        presence (np.ndarray): bool ``(N, K)``.
        labeled_idx (np.ndarray): Indices of the labelled images.
        class_names (Sequence[str], optional): K names; class numbers if None.

    Returns:
        dict: Class name to ``{'labeled': images, 'all': images}``.
    """
    labeled, whole = presence[labeled_idx].sum(0), presence.sum(0)
    names = names_of(range(presence.shape[1]), class_names)
    return {name: dict(labeled=int(labeled[k]), all=int(whole[k])) for k, name in enumerate(names)}


def _drawn(
    folder: str,
    stems: Sequence[str],
    presence: np.ndarray,
    parts: Tuple[np.ndarray, np.ndarray],
    class_names: Optional[Sequence[str]],
    facts: Dict[str, Any],
) -> DrawnSplit:
    counts = presence_counts(presence, parts[0], class_names)
    labeled, unlabeled = ([stems[i] for i in part] for part in parts)
    facts = dict(facts, num_images=len(stems), class_images=counts)
    return DrawnSplit(folder, labeled, unlabeled, facts)


def random_split(
    out: str,
    stems: Sequence[str],
    presence: np.ndarray,
    size: str,
    seed: int,
    class_names: Optional[Sequence[str]] = None,
) -> DrawnSplit:
    """Draw the split of ``out/<size>/seed<seed>``; its labelled part shows every class.

    Args:
        out (str): Folder of all splits, usually ``<data_root>/splits``.
        stems (Sequence[str]): N stems.
        presence (np.ndarray): bool ``(N, K)``; K = 0 where labels are unknown.
        size (str): Fraction such as ``'1/8'``, or number of images such as
            ``'50'``.
        seed (int): Non-negative seed.
        class_names (Sequence[str], optional): K names.

    Raises:
        ValueError: See :func:`make_split`.
    """
    whole_number = size.isdigit()
    num = int(size) if whole_number else num_from_fraction(size, len(stems))
    parts = make_split(presence, num, seed, class_names)
    facts = dict(kind='random', seed=seed, fraction=None if whole_number else size)
    folder = f'{out}/{size.replace("/", "_")}/seed{seed}'
    return _drawn(folder, stems, presence, parts, class_names, facts)


def sequence_split(
    out: str,
    stems: Sequence[str],
    presence: np.ndarray,
    prefixes: Sequence[str],
    class_names: Optional[Sequence[str]] = None,
) -> DrawnSplit:
    """Split of whole sequences for ``out/seq_<prefix>``; its labelled part may lack classes.

    Args:
        out (str): Folder of all splits, usually ``<data_root>/splits``.
        stems (Sequence[str]): N stems.
        presence (np.ndarray): bool ``(N, K)``; K = 0 where labels are unknown.
        prefixes (Sequence[str]): See :func:`split_by_prefix`; joined by ``-``
            in the folder name.
        class_names (Sequence[str], optional): K names.

    Raises:
        ValueError: See :func:`split_by_prefix`.
    """
    parts = split_by_prefix(stems, prefixes)
    name = '-'.join(prefixes).strip('_').replace('/', '_')
    facts = dict(kind='sequence', prefixes=list(prefixes))
    return _drawn(f'{out}/seq_{name}', stems, presence, parts, class_names, facts)
