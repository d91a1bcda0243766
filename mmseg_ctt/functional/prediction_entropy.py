# Copyright (c) mmseg_ctt contributors.
"""Entropy of predictions."""

from typing import Optional, Sequence

import torch.nn.functional as F
from torch import Tensor

from .precision import full_precision


def prediction_entropy(
    logits: Tensor, size: Optional[Sequence[int]] = None, align_corners: bool = False
) -> Tensor:
    """Entropy of the softmax of every pixel, in nats.

    ``log sum_c exp(x_c) - sum_c p_c x_c`` with ``x`` the logits minus their maximum, so that no
    logarithm of a probability is taken.

    Args:
        logits (Tensor): ``(B, K, h, w)``, any floating dtype. Receives the gradient.
        size (Sequence[int], optional): ``(H, W)`` to up-sample the logits to, bilinearly,
            before the softmax. Defaults to None: ``(h, w)``.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: ``(B, H, W)`` in [0, log K], float32 (float64 for double input).
    """
    logits = full_precision(logits)
    if size is not None and tuple(size) != tuple(logits.shape[2:]):
        logits = F.interpolate(logits, tuple(size), mode='bilinear', align_corners=align_corners)
    logits = logits - logits.detach().amax(dim=1, keepdim=True)
    weight = logits.exp()
    total = weight.sum(dim=1)
    return total.log() - (weight * logits).sum(dim=1) / total
