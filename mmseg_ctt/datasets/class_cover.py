# Copyright (c) mmseg_ctt contributors.
"""A small set of images that together show every class (set cover)."""

from typing import Iterable, List, Optional, Sequence, Tuple

import numpy as np

# Bound on the exhaustive search, which would run for hours with very many
# classes and very few images.
MAX_NODES = 200000


def names_of(classes: Iterable[int], class_names: Optional[Sequence[str]] = None) -> List[str]:
    """Names of class ids, ``class 3`` where no names are known.

    Args:
        classes (Iterable[int]): Class ids.
        class_names (Sequence[str], optional): One name per class.

    Returns:
        list[str]: One name per id.
    """
    if class_names is None:
        return [f'class {k}' for k in classes]
    return [class_names[k] for k in classes]


def find_cover(presence: np.ndarray, budget: int) -> Tuple[np.ndarray, List[int]]:
    """Choose at most ``budget`` images that show all classes of the data.

    Three searches are tried in turn, each only if the one before has found no
    cover of that size: rarest class first, most new classes first, and an
    exhaustive search.

    Args:
        presence (np.ndarray): bool ``(N, K)``, rows in random order.
        budget (int): Largest number of images.

    Returns:
        tuple[np.ndarray, list[int]]: Row indices of the cover, int64, and the
        classes that it does not show (empty when it is complete).
    """
    if presence.shape[1] == 0:
        return np.zeros(0, dtype=np.int64), []
    cover = _rarest_first(presence)
    if len(cover) > budget:
        cover = _most_new_first(presence)
    if len(cover) > budget:
        cover = _exhaustive(presence, budget) or cover
    rows = np.array(cover[:budget], dtype=np.int64)
    left_out = presence.any(0) & ~presence[rows].any(0)
    return rows, [int(k) for k in np.flatnonzero(left_out)]


def _rarest_first(presence: np.ndarray) -> List[int]:
    cover: List[int] = []
    covered = np.logical_not(presence.any(0))
    for k in np.argsort(presence.sum(0), kind='stable'):
        if not covered[k]:
            cover.append(int(np.argmax(presence[:, k])))
            covered = covered | presence[cover[-1]]
    return cover


def _most_new_first(presence: np.ndarray) -> List[int]:
    cover: List[int] = []
    left = presence.any(0)
    while left.any():
        cover.append(int(np.argmax(presence[:, left].sum(1))))
        left = left & ~presence[cover[-1]]
    return cover


def _exhaustive(presence: np.ndarray, budget: int) -> Optional[List[int]]:
    """Cover of at most ``budget`` images, None if none is found.

    Each step of the search branches on the images of the rarest class that is not covered yet.
    """
    rows = _undominated(presence)
    sets = [frozenset(np.flatnonzero(presence[row])) for row in rows]
    widest = max((len(shown) for shown in sets), default=0)
    by_class = {
        int(k): [i for i, shown in enumerate(sets) if k in shown]
        for k in np.flatnonzero(presence.any(0))
    }
    nodes = 0

    def search(left: frozenset, limit: int) -> Optional[List[int]]:
        nonlocal nodes
        nodes += 1
        if not left:
            return []
        if nodes > MAX_NODES or limit * widest < len(left):
            return None
        rarest = min(left, key=lambda k: (len(by_class[k]), k))
        for i in by_class[rarest]:
            found = search(left - sets[i], limit - 1)
            if found is not None:
                return [int(rows[i])] + found
        return None

    return search(frozenset(by_class), budget)


def _undominated(presence: np.ndarray) -> np.ndarray:
    """Rows whose classes are no subset of those of another row."""
    _, first = np.unique(presence, axis=0, return_index=True)
    kept = np.sort(first)
    part = presence[kept]
    # Patterns are unique by now: only the row itself shows all its classes.
    alone = [(part[:, row].all(1)).sum() == 1 for row in part]
    return kept[np.array(alone, dtype=bool)]


def hold_out(presence: np.ndarray, number: int) -> np.ndarray:
    """Choose images for validation that show the classes, and leave every class to the others.

    A class of a single image stays with the others. Two orders are tried, rarest class first and
    most new classes first; the second is used only if it misses fewer classes.

    Args:
        presence (np.ndarray): bool ``(N, K)``, rows in random order.
        number (int): Images to choose, fewer than N.

    Returns:
        np.ndarray: int64 ``(number,)``, row indices. What they miss, and what the others miss, is
        as little as these orders find.
    """
    chosen = [_hold_out(presence, number, rarest) for rarest in (True, False)]
    missed = [len(missing_of(presence, rows)) for rows in chosen]
    return chosen[int(missed[1] < missed[0])]


def missing_of(presence: np.ndarray, rows: np.ndarray) -> List[int]:
    """Classes of the data that some rows do not show, or the others do not: twice if both."""
    rest = np.setdiff1d(np.arange(len(presence)), rows)
    shown = presence.any(0)
    return [int(k) for part in (rows, rest) for k in np.flatnonzero(shown & ~presence[part].any(0))]


def _hold_out(presence: np.ndarray, number: int, rarest: bool) -> np.ndarray:
    free, left = np.ones(len(presence), dtype=bool), presence.sum(0)
    missing = left > 1
    frequency = left.copy()
    chosen: List[int] = []
    for _ in range(number):
        # No class may lose its last image, as long as another image can be chosen.
        safe = free & ~presence[:, left == 1].any(1)
        safe = safe if safe.any() else free
        gain = (presence & missing).sum(1) * safe
        reachable = (presence[safe].any(0)) & missing
        if rarest and reachable.any():
            rare = int(np.argmin(np.where(reachable, frequency, len(presence) + 1)))
            gain = presence[:, rare] * safe
        row = int(np.argmax(gain if gain.any() else safe))
        chosen.append(row)
        free[row] = False
        left = left - presence[row]
        missing = missing & ~presence[row]
    return np.array(chosen, dtype=np.int64)
