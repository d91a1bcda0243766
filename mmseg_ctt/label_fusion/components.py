# Copyright (c) mmseg_ctt contributors.
"""Which connected components (6 neighbours) of fused label volumes are kept."""

from typing import Optional

import numpy as np

from ..volumes.components import components, largest_components
from .planes import BACKGROUND, IGNORE

RATIO = 0.5  # of the largest component; threshold of OrganSegC2F's coarse fusion
CLEANINGS = ('seeded', 'largest')


def seeded_components(mask: np.ndarray, seeds: np.ndarray, ratio: float = RATIO) -> np.ndarray:
    """Components that contain a seed and are not much smaller than the largest of those.

    The rule of OrganSegC2F (released code, ``post_processing``): a mask that is empty or covers
    half the volume or more is left as it is.

    Args:
        mask (np.ndarray): ``(X, Y, Z)`` bool.
        seeds (np.ndarray): ``(X, Y, Z)`` bool; those outside the mask do not count.
        ratio (float): A component is kept from this fraction of the largest component with a seed
            on. Defaults to 0.5; 1 keeps the largest alone, with those of its size.

    Returns:
        np.ndarray: ``(X, Y, Z)`` bool.
    """
    number = np.count_nonzero(mask)
    if number == 0 or 2 * number >= mask.size:
        return mask
    component, sizes = components(mask)
    seeded = np.unique(component[seeds & mask]) - 1
    kept = np.zeros(len(sizes) + 1, bool)
    kept[seeded + 1] = sizes[seeded] >= ratio * sizes[seeded].max(initial=0)
    return kept[component]


def agreement_seeds(mask: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Seeds of a class: voxels that all planes give it, else two, else one of them.

    The first of these sets that meets the mask is taken (F3, F2, F1 of OrganSegC2F), the mask
    itself where none does, which soft fusion makes possible.

    Args:
        mask (np.ndarray): ``(X, Y, Z)`` bool, the fused class.
        planes (np.ndarray): ``(P, X, Y, Z)`` bool, the class as each plane predicts it.

    Returns:
        np.ndarray: ``(X, Y, Z)`` bool.
    """
    votes = planes.sum(axis=0, dtype=np.uint8)
    for needed in (len(planes), 2, 1):
        seeds = mask & (votes >= needed)
        if seeds.any():
            return seeds
    return mask


def clean_label(
    fused: np.ndarray, planes: np.ndarray, rule: Optional[str], background: int = BACKGROUND
) -> np.ndarray:
    """Fused label volume without the components that a rule discards, class by class.

    Args:
        fused (np.ndarray): ``(X, Y, Z)`` integers.
        planes (np.ndarray): ``(P, X, Y, Z)`` integers that were fused.
        rule (str, optional): ``'seeded'``: :func:`seeded_components`; ``'largest'``:
            :func:`~mmseg_ctt.volumes.components.largest_components`; None: all are kept.
        background (int): Class id that discarded voxels get. Defaults to 0.

    Returns:
        np.ndarray: ``(X, Y, Z)``, of the same dtype.
    """
    cleaned = fused.copy()
    if rule is None:
        return cleaned
    for label in np.setdiff1d(np.unique(fused), (background, IGNORE)):
        mask = fused == label
        if rule == 'seeded':
            kept = seeded_components(mask, agreement_seeds(mask, planes == label))
        else:
            kept = largest_components(mask)
        cleaned[mask & ~kept] = background
    return cleaned
