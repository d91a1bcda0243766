# Copyright (c) mmseg_ctt contributors.
import torch
from torch import Tensor


def complement(probability: Tensor) -> Tensor:
    """``1 - p`` of every class, to full precision where ``p`` is nearly 1.

    There float32 has no digits left of ``1 - p``; the sum of the other classes has all of them.

    Args:
        probability (Tensor): ``(B, K, ...)`` float, sum 1 over classes.

    Returns:
        Tensor: Same shape.
    """
    large = probability > 0.5  # one class at most
    others = probability.masked_fill(large, 0).sum(dim=1, keepdim=True)
    return torch.where(large, others, 1 - probability)
