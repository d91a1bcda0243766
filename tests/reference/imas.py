# Copyright (c) mmseg_ctt contributors.
"""iMAS: agreement of two label maps of one image, class by class."""

from torch import Tensor


def agreement(label: Tensor, other: Tensor, num_classes: int, weighted, background) -> float:
    """Of ``(H, W)`` maps; classes weigh by their pixels in the first."""
    pairs = [(a, b) for a, b in zip(label.flatten().tolist(), other.flatten().tolist()) if a != 255]
    total = weight = 0.0
    for k in range(num_classes):
        union = sum(k in pair for pair in pairs)
        both = sum(pair == (k, k) for pair in pairs)
        if not union:
            continue
        share = sum(a == k for a, _ in pairs) if weighted else 1
        share = 0 if weighted and k == background else share
        total, weight = total + share * both / union, weight + share
    return total / weight if weight else 0.0
