# Copyright (c) mmseg_ctt contributors.
"""Locally adaptive learning loss in NumPy: one window, one group, one pixel at a time."""

import math
from itertools import product
from typing import List, Optional, Tuple

import numpy as np


def terms(
    logits: np.ndarray,
    label: np.ndarray,
    kernel_size: int = 3,
    stride: int = 1,
    sigma: float = 1.0,
    merge: str = 'logits',
    norm: str = 'weight',
    mode: str = 'all',
    ignore_index: int = 255,
    pixel_weight: Optional[np.ndarray] = None,
) -> List[Tuple[int, float]]:
    """Class and cost of each group of ``(B, K, H, W)`` logits and ``(B, H, W)`` labels.

    In the order of images, rows, columns and classes.
    """
    found = []
    height, width = label.shape[1:]
    if pixel_weight is None:
        pixel_weight = np.ones(label.shape)
    for b, row, column in product(
        range(len(label)), range(0, height, stride), range(0, width, stride)
    ):
        reach = kernel_size // 2
        pixels = [
            (y, x)
            for y in range(max(0, row - reach), min(height, row + reach + 1))
            for x in range(max(0, column - reach), min(width, column + reach + 1))
            if label[b, y, x] != ignore_index and pixel_weight[b, y, x] > 0
        ]
        for c in sorted({int(label[b, y, x]) for y, x in pixels}):
            if mode == 'center' and c != label[b, row, column]:
                continue
            merged, divisor = np.zeros(logits.shape[1]), 0.0
            for y, x in pixels:
                if label[b, y, x] != c:
                    continue
                vector = logits[b, :, y, x].astype(np.float64)
                if merge == 'probs':
                    vector = np.exp(vector - vector.max())
                    vector = vector / vector.sum()
                distance = max(abs(y - row), abs(x - column))
                factor = math.exp(-(distance**2) / (2 * sigma**2))
                merged += pixel_weight[b, y, x] * factor * vector
                divisor += pixel_weight[b, y, x] * (factor if norm == 'weight' else 1.0)
            merged /= divisor
            found.append((c, cost(merged, c, merge)))
    return found


def cost(merged: np.ndarray, c: int, merge: str) -> float:
    """Cross-entropy of a mean prediction with its class."""
    if merge == 'probs':
        return -math.log(merged[c])
    highest = merged.max()
    return math.log(np.exp(merged - highest).sum()) + highest - merged[c]


def locally_adaptive_loss(
    logits: np.ndarray,
    label: np.ndarray,
    k: float = 5.0,
    root: bool = True,
    class_weight: Optional[np.ndarray] = None,
    **options: object,
) -> float:
    """See :func:`mmseg_ctt.functional.locally_adaptive_loss`."""
    total = number = 0.0
    for c, value in terms(logits, label, **options):
        weight = 1.0 if class_weight is None else class_weight[c]
        total += weight * value**k
        number += weight
    mean = total / number if number else 0.0
    return mean ** (1 / k) if root else mean
