# Copyright (c) mmseg_ctt contributors.
"""Pixel cross-entropies and confidences, one pixel at a time."""

import math
from typing import List, Optional, Tuple

from torch import Tensor


def softmax(logits: List[float]) -> List[float]:
    """Probabilities of one pixel."""
    top = max(logits)
    weights = [math.exp(x - top) for x in logits]
    return [w / sum(weights) for w in weights]


def label_and_confidence(logits: List[float]) -> Tuple[int, float]:
    """Most probable class and its probability, of one pixel."""
    p = softmax(logits)
    return p.index(max(p)), max(p)


def _pixels(logits: Tensor, label: Tensor):
    for b in range(label.shape[0]):
        for y in range(label.shape[1]):
            for x in range(label.shape[2]):
                yield (b, y, x), logits[b, :, y, x].double().tolist(), int(label[b, y, x])


def mean_over_labelled(logits: Tensor, label: Tensor, ignore_index: int = 255) -> float:
    """Eq 1-2: mean over the pixels that have a label, 0 without any."""
    values = [_log_sum_exp(o) - o[c] for _, o, c in _pixels(logits, label) if c != ignore_index]
    return sum(values) / max(len(values), 1)


def weighted_over_all(
    logits: Tensor, label: Tensor, weight: Optional[Tensor] = None, ignore_index: int = 255
) -> float:
    """Eq 5: weighted sum over the number of all pixels, ignored ones included."""
    total = 0.0
    for at, o, c in _pixels(logits, label):
        if c != ignore_index:
            total += (1.0 if weight is None else float(weight[at])) * (_log_sum_exp(o) - o[c])
    return total / label.numel()


def confident_share(confidence: Tensor, threshold: float) -> float:
    """Share of pixels whose confidence reaches the threshold."""
    values = confidence.flatten().tolist()
    return sum(value >= threshold for value in values) / len(values)


def _log_sum_exp(o: List[float]) -> float:
    top = max(o)
    return top + math.log(sum(math.exp(x - top) for x in o))
