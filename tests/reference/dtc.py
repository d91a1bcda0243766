# Copyright (c) mmseg_ctt contributors.
"""Dual-task consistency in NumPy: signed distances and losses, one pixel at a time."""

import math
from itertools import product
from typing import Iterator, Optional, Tuple

import numpy as np

Place = Tuple[int, ...]


def places(mask: np.ndarray) -> Iterator[Place]:
    """Indices at which a mask is set."""
    return (at for at in product(*map(range, mask.shape)) if mask[at])


def nearest(at: Place, others: np.ndarray) -> float:
    """Distance of a pixel to the nearest of others."""
    return min(math.dist(at, other) for other in places(others))


def on_border(at: Place, outside: np.ndarray) -> bool:
    """Whether one of the next pixels along the axes is outside; the image border is none."""
    for axis, move in product(range(len(at)), (-1, 1)):
        other = list(at)
        other[axis] += move
        if 0 <= other[axis] < outside.shape[axis] and outside[tuple(other)]:
            return True
    return False


def signed_distance(
    foreground: np.ndarray,
    known: Optional[np.ndarray] = None,
    empty: str = 'ones',
    boundary: str = 'inside',
) -> np.ndarray:
    """Of one object in 2D or 3D, see :func:`mmseg_ctt.datasets.signed_distance.signed_distance`."""
    known = np.ones(foreground.shape, bool) if known is None else known
    inside, outside = foreground & known, ~foreground & known
    made = np.zeros(foreground.shape)
    for side, others, sign in ((outside, inside, 1), (inside, outside, -1)):
        if not others.any():
            made[side] = sign * float(sign < 0 or empty == 'ones')
            continue
        found = {at: nearest(at, others) for at in places(side)}
        for at, distance in found.items():
            made[at] = sign * distance / max(found.values())
            if sign < 0 and boundary == 'zero' and on_border(at, others):
                made[at] = 0
    return made


def squared_dice_loss(
    probability: np.ndarray, target: np.ndarray, weight: np.ndarray, smooth: float = 1e-5
) -> float:
    """Of ``(B, K, H, W)`` maps and ``(B, H, W)`` weights."""
    batch, classes, height, width = probability.shape
    total = 0.0
    for k in range(classes):
        overlap = squares = 0.0
        for b, y, x in product(range(batch), range(height), range(width)):
            p, t = float(probability[b, k, y, x]), float(target[b, k, y, x])
            w = float(weight[b, y, x])
            overlap += w * p * t
            squares += w * (p * p + t * t)
        total += 1 - (2 * overlap + smooth) / (squares + smooth)
    return total / classes


def smooth_heaviside(z: float, steepness: float) -> float:
    """``sigmoid(-k z)``."""
    return 1 / (1 + math.exp(min(steepness * z, 700)))


def dual_task_consistency(
    level_set: np.ndarray, probability: np.ndarray, steepness: float, valid: np.ndarray
) -> float:
    """Of ``(B, C, H, W)`` maps; mean over classes and valid pixels."""
    total = 0.0
    for b, y, x in places(valid):
        for k in range(level_set.shape[1]):
            inside = smooth_heaviside(float(level_set[b, k, y, x]), steepness)
            total += (inside - float(probability[b, k, y, x])) ** 2
    return total / max(valid.sum() * level_set.shape[1], 1)


def distance_loss(level_set: np.ndarray, distance: np.ndarray, valid: np.ndarray) -> float:
    """Of ``(B, C, H, W)`` maps; mean over classes and valid pixels."""
    total = 0.0
    for b, y, x in places(valid):
        for k in range(level_set.shape[1]):
            total += (float(level_set[b, k, y, x]) - float(distance[b, k, y, x])) ** 2
    return total / max(valid.sum() * level_set.shape[1], 1)
