# Copyright (c) mmseg_ctt contributors.
"""Class-rebalanced selection with lists, one class and one item at a time."""

from typing import List


def rates(frequency: List[float], alpha: float) -> List[float]:
    """``mu_l = (N_{L+1-l} / N_1)^alpha`` for positive frequencies."""
    order = sorted(range(len(frequency)), key=lambda c: -frequency[c])
    out = [0.0] * len(frequency)
    for place, c in enumerate(order):
        mirrored = order[len(order) - 1 - place]
        out[c] = (frequency[mirrored] / frequency[order[0]]) ** alpha
    return out


def chosen(
    score: List[List[float]], present: List[List[bool]], rate: List[float]
) -> List[List[int]]:
    """Items of every class, ascending."""
    out = []
    for c, mu in enumerate(rate):
        mine = [i for i in range(len(score)) if present[i][c]]
        best = sorted(mine, key=lambda i: (-score[i][c], i))
        out.append(sorted(best[: int(len(mine) * mu + 1e-9)]))
    return out


def threshold(values: List[int], rate: float) -> int:
    """Entry at position ``floor(n * rate)`` of the falling order, the last one behind its end."""
    falling = sorted(values, reverse=True)
    return falling[min(int(len(falling) * rate + 1e-9), len(falling) - 1)]
