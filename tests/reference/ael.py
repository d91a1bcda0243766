# Copyright (c) mmseg_ctt contributors.
"""AEL, one pixel at a time."""

from typing import List, Optional, Tuple

from torch import Tensor

from .cross_entropy import _log_sum_exp, _pixels, softmax


def confidence_sums(logits: Tensor, label: Tensor, num_classes: int) -> Tuple[list, list]:
    """Sum of the true class's probability and number of pixels, by class."""
    total, count = [0.0] * num_classes, [0] * num_classes
    for _, o, c in _pixels(logits, label):
        if 0 <= c < num_classes:
            total[c] += softmax(o)[c]
            count[c] += 1
    return total, count


def updated(
    bank: List[float], total: list, count: list, momentum: float, skip_absent: bool
) -> List[float]:
    """The bank after one batch."""
    new = []
    for old, t, n in zip(bank, total, count):
        if n == 0 and skip_absent:
            new.append(old)
        else:
            new.append(momentum * old + (1 - momentum) * (t / n if n else 0.0))
    return new


def rates(conf: List[float], beta: float) -> List[float]:
    """Share of each class's pixels that is kept."""
    most = max(1 - c for c in conf)
    return [1.0 if most == 0 else ((1 - c) / most) ** beta for c in conf]


def consistency(
    logits: Tensor,
    label: Tensor,
    confidence: Tensor,
    gamma: float,
    keep: Optional[Tensor] = None,
    ignore_index: int = 255,
) -> float:
    """Weighted mean; ignored pixels are in the denominator only."""
    above, below = 0.0, 0.0
    for at, o, c in _pixels(logits, label):
        weight = float(confidence[at]) ** gamma * (1 if keep is None else int(keep[at]))
        below += weight
        if c != ignore_index:
            above += weight * (_log_sum_exp(o) - o[c])
    return above / (below + 1e-12)


def components(mask: Tensor) -> List[List[Tuple[int, int]]]:
    """Pixels of every component (8 neighbours) of one mask ``(h, w)``, by flood fill."""
    left = {tuple(at) for at in mask.nonzero().tolist()}
    found = []
    while left:
        todo, part = [left.pop()], []
        while todo:
            y, x = todo.pop()
            part.append((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            todo += near
        found.append(part)
    return found


def box(part: List[Tuple[int, int]]) -> Tuple[int, int, int, int]:
    """First and last row and column of a component."""
    rows, columns = zip(*part)
    return min(rows), max(rows), min(columns), max(columns)
