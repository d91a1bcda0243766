# Copyright (c) mmseg_ctt contributors.
"""GuidedMix-Net, one number at a time."""

import math
from typing import List

from torch import Tensor


def cosine(a: List[float], b: List[float]) -> float:
    """Of two embeddings."""
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def sigmoid_focal(logits: Tensor, label: Tensor, gamma: float, alpha: float) -> float:
    """Mean over pixels and classes of the formula with powers."""
    total = 0.0
    batch, classes, height, width = logits.shape
    for b in range(batch):
        for k in range(classes):
            for y in range(height):
                for x in range(width):
                    p = 1 / (1 + math.exp(-float(logits[b, k, y, x])))
                    t = float(label[b, y, x] == k)
                    entropy = -(t * math.log(p) + (1 - t) * math.log(1 - p))
                    weight = alpha * t + (1 - alpha) * (1 - t)
                    total += weight * (t * (1 - p) + (1 - t) * p) ** gamma * entropy
    return total / logits.numel()


def present(label: Tensor, num_classes: int) -> List[List[float]]:
    """1 for every class that an image shows."""
    return [
        [float(k in set(image.flatten().tolist())) for k in range(num_classes)] for image in label
    ]
