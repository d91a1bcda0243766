# Copyright (c) mmseg_ctt contributors.
"""CorrMatch one pixel and one region at a time, in float64."""

import math
from typing import List, Optional, Tuple

import torch
from torch import Tensor


def correlation(query: Tensor, key: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Of one image: ``(D, N)`` maps to ``(N, N)``."""
    query, key = query.double(), key.double()
    size, pixels = query.shape
    table = torch.zeros(pixels, pixels, dtype=torch.float64)
    for i in range(pixels):
        known = [j for j in range(pixels) if valid is None or valid[j]]
        scores = [math.exp(float(query[:, i] @ key[:, j]) / math.sqrt(size)) for j in known]
        for j, score in zip(known, scores):
            table[i, j] = score / sum(scores)
    return table


def propagated(
    label: List[int],
    kept: List[bool],
    regions: List[List[bool]],
    threshold: float,
    num_classes: int,
    sequential: bool,
) -> Tuple[List[int], List[bool]]:
    """Labels and kept pixels of one image after region propagation."""
    pixels = range(len(label))
    before, label, after = list(label), list(label), list(kept)
    votes = [[0.0] * num_classes for _ in pixels]
    for region in regions:
        read = label if sequential else before
        counted = [read[p] for p in pixels if region[p] and kept[p]]
        if not counted or len(counted) / sum(region) < threshold:
            continue
        numbers = [counted.count(k) for k in range(num_classes)]
        best = numbers.index(max(numbers))
        ratio = numbers[best] / len(counted)
        if ratio <= threshold:
            continue
        for p in pixels:
            if region[p]:
                after[p] = True
                votes[p][best] += ratio
                if sequential:
                    label[p] = best
    if not sequential:
        for p in pixels:
            if max(votes[p]) > 0:
                label[p] = votes[p].index(max(votes[p]))
    return label, after
