# Copyright (c) mmseg_ctt contributors.
"""Probabilities without loss of digits."""

import torch
from torch import Tensor

from .precision import full_precision


def complement(probability: Tensor) -> Tensor:
    """Complement ``1 - p`` of every class, to full precision.

    Where ``p`` is nearly 1, ``1 - p`` has few digits left in float32; it is the sum of the others.

    Args:
        probability (Tensor): ``(B, K, ...)`` float, sum 1 over classes.

    Returns:
        Tensor: Same shape, float32 (float64 for double input).
    """
    probability = full_precision(probability)
    large = probability > 0.5  # one class at most
    others = probability.masked_fill(large, 0).sum(dim=1, keepdim=True)
    return torch.where(large, others, 1 - probability)


def two_class_logits(logits: Tensor) -> Tensor:
    """Logits of two classes from a single channel; more channels stay as they are.

    A sigmoid of ``s`` is the softmax of ``(0, s)``, so all that reads logits of classes can read a
    binary head of one channel.

    Args:
        logits (Tensor): ``(B, K, ...)``.

    Returns:
        Tensor: ``(B, 2, ...)`` for ``K = 1``, else the same.
    """
    if logits.shape[1] != 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits], dim=1)
