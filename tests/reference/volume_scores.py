# Copyright (c) mmseg_ctt contributors.
"""Overlap and surface distances of two masks, one voxel at a time; sets of coordinates."""

import math
from itertools import product
from typing import List, Set, Tuple

import numpy as np

Voxel = Tuple[int, ...]


def voxels(mask: np.ndarray) -> Set[Voxel]:
    return {at for at in np.ndindex(*mask.shape) if mask[at]}


def surface(inside: Set[Voxel]) -> Set[Voxel]:
    """Voxels with a neighbour across a face that is not inside."""
    found = set()
    for at in inside:
        for axis, step in product(range(len(at)), (-1, 1)):
            neighbour = (*at[:axis], at[axis] + step, *at[axis + 1 :])
            if neighbour not in inside:
                found.add(at)
    return found


def nearest(start: Set[Voxel], goal: Set[Voxel], spacing) -> List[float]:
    def length(a: Voxel, b: Voxel) -> float:
        return math.sqrt(sum(((i - j) * mm) ** 2 for i, j, mm in zip(a, b, spacing)))

    return [min(length(at, other) for other in goal) for at in start]


def percentile(values: List[float], percent: float) -> float:
    """Linear between the two values around the rank."""
    ordered = sorted(values)
    rank = percent / 100 * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (rank - low) * (ordered[high] - ordered[low])


def scores(prediction: np.ndarray, truth: np.ndarray, spacing) -> Tuple[float, ...]:
    """Dice, Jaccard, HD95 and ASD; a distance to an empty mask is the diagonal."""
    predicted, true = voxels(prediction), voxels(truth)
    if not predicted and not true:
        return 1.0, 1.0, 0.0, 0.0
    if not predicted or not true:
        far = math.sqrt(sum((size * mm) ** 2 for size, mm in zip(truth.shape, spacing)))
        return 0.0, 0.0, far, far
    there = nearest(surface(predicted), surface(true), spacing)
    back = nearest(surface(true), surface(predicted), spacing)
    return (
        2 * len(predicted & true) / (len(predicted) + len(true)),
        len(predicted & true) / len(predicted | true),
        max(percentile(there, 95), percentile(back, 95)),
        sum(there + back) / len(there + back),
    )
