# Copyright (c) mmseg_ctt contributors.
"""Running mean of a number per class."""

from typing import Union

import torch
from torch import Tensor


def warm_momentum(updates: Tensor, momentum: float) -> Tensor:
    """Momentum with a warm start: the average is the plain mean of the first updates.

    Args:
        updates (Tensor): ``(K,)`` int64, updates of each class so far.
        momentum (float): Reached after ``1 / (1 - momentum)`` updates.

    Returns:
        Tensor: ``(K,)`` float32.
    """
    return (1 - (updates + 1).reciprocal()).clamp(max=momentum)


@torch.no_grad()
def confidence_bank_update(
    bank: Tensor,
    total: Tensor,
    count: Tensor,
    momentum: Union[float, Tensor] = 0.999,
    skip_absent: bool = True,
) -> Tensor:
    """Running mean of each class's confidence.

    ``momentum * bank + (1 - momentum) * total / count``.

    Args:
        bank (Tensor): ``(K,)`` float, confidence of each class so far.
        total (Tensor): ``(K,)`` float, from :func:`class_confidence_sums`.
        count (Tensor): ``(K,)`` float, from the same.
        momentum (float | Tensor): Weight of the old value, also ``(K,)``. Defaults to 0.999.
        skip_absent (bool): Classes without a pixel keep their value; False counts them as 0, so
            that rare classes decay towards 0 (released code). Defaults to True.

    Returns:
        Tensor: ``(K,)``, the new confidences.
    """
    confidence = (total / count.clamp(min=1)).to(bank)
    updated = torch.lerp(confidence, bank, momentum)
    return torch.where(count > 0, updated, bank) if skip_absent else updated
