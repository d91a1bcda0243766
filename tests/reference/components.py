# Copyright (c) mmseg_ctt contributors.
"""Components of a volume by flooding, voxel by voxel."""

from typing import List, Set, Tuple

import numpy as np

Voxel = Tuple[int, ...]
STEPS = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))


def components(mask: np.ndarray) -> List[Set[Voxel]]:
    """Components of 6 neighbours, in memory order of their first voxels."""
    left: Set[Voxel] = {tuple(map(int, voxel)) for voxel in np.argwhere(mask)}
    out = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        found, edge = {start}, [start]
        while edge:
            x, y, z = edge.pop()
            near = {(x + a, y + b, z + c) for a, b, c in STEPS} & left
            left -= near
            found |= near
            edge += near
        out.append(found)
    return out


def seeded(mask: np.ndarray, seeds: np.ndarray, ratio: float) -> np.ndarray:
    """Components with a seed, at least ``ratio`` of the largest of them; see OrganSegC2F."""
    if mask.sum() == 0 or mask.sum() >= mask.size / 2:
        return mask
    with_seed = [part for part in components(mask) if any(seeds[voxel] for voxel in part)]
    largest = max((len(part) for part in with_seed), default=0)
    out = np.zeros(mask.shape, bool)
    for part in with_seed:
        if len(part) >= ratio * largest:
            out[tuple(zip(*part))] = True
    return out
