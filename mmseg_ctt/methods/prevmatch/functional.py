# Copyright (c) mmseg_ctt contributors.
"""Mathematics of PrevMatch: the ensemble of past models and its weight over the run."""

from typing import List, Sequence

import torch
from torch import Tensor

from ...functional.precision import full_precision


def ensemble_logits(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted sum of the logits of several models (not of their probabilities).

    Args:
        logits (Sequence[Tensor]): ``(B, K, h, w)`` of each, any floating dtype.
        weights (Sequence[float]): Of each.

    Returns:
        Tensor: ``(B, K, h, w)`` float32 (float64 for double input).
    """
    full = [full_precision(value) for value in logits]
    return torch.stack([weight * value for weight, value in zip(weights, full)]).sum(0)


def triangular_weight(done: int, total: int) -> float:
    """Weight that climbs from 0 to 1 in the first half of a run, and falls to 0 in the second.

    Args:
        done (int): Steps (iterations or epochs) that are over.
        total (int): All of them.

    Example:
        >>> [triangular_weight(done, 8) for done in (0, 2, 4, 6, 8)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    half = total // 2
    if done < half:
        return done / half
    return 1 - (done - half) / (total - half)


def ring_order(count: int, size: int) -> List[int]:
    """Positions in a ring that are in use, the oldest entry first.

    Args:
        count (int): Entries written so far; entry ``i`` is at ``i % size``.
        size (int): Positions.

    Example:
        >>> ring_order(2, 3), ring_order(5, 3)
        ([0, 1], [2, 0, 1])
    """
    return [i % size for i in range(max(0, count - size), count)]
