# Copyright (c) mmseg_ctt contributors.
"""Negative labels, one item and one class at a time."""

import math
from typing import Iterable, List, Optional, Set

from .cross_entropy import softmax


def loss(
    logits: List[List[float]],
    negative: List[List[int]],
    valid: Optional[List[bool]] = None,
    eps: float = 1e-6,
) -> float:
    """Mean over the items of the mean over their negative classes of ``-log(1 - p + eps)``."""
    total, items = 0.0, 0
    for n, row in enumerate(logits):
        if valid is not None and not valid[n]:
            continue
        items += 1
        chosen = [c for c, flag in enumerate(negative[n]) if flag]
        p = softmax(row)
        if chosen:
            total += sum(-math.log(1 - p[c] + eps) for c in chosen) / len(chosen)
    return total / max(items, 1)


def drawn(scores: List[float], noise: Iterable[float], exclude: int, replacement: bool) -> Set[int]:
    """Negative classes of one item, drawn from a list of what is left."""
    left = sorted(best_first(scores)[exclude:])
    chosen = []
    for one in noise:
        chosen.append(left[int(one * len(left))])
        if not replacement:
            left.remove(chosen[-1])
    return set(chosen)


def lowest(scores: List[float], number: int) -> Set[int]:
    """The classes of the lowest scores."""
    return set(best_first(scores)[-number:])


def best_first(scores: List[float]) -> List[int]:
    """Classes by falling score."""
    return sorted(range(len(scores)), key=lambda c: -scores[c])


def released_weight(epoch: int) -> float:
    """Weight of the negative term in the released scripts, of 100 epochs."""
    return 75 * math.exp(-5 * (1 - epoch / 100) ** 2) if epoch <= 15 else 2.0


def untrusted(
    label: List[int],
    confidence: List[float],
    other_label: List[int],
    other_confidence: List[float],
    threshold: float,
) -> List[int]:
    """Items that are not stable: two views differ, or neither is sure."""
    return [
        i
        for i in range(len(label))
        if label[i] != other_label[i]
        or not (confidence[i] > threshold or other_confidence[i] > threshold)
    ]
