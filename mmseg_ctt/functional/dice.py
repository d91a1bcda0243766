# Copyright (c) mmseg_ctt contributors.
"""Overlap of probabilities with labels."""

from typing import Callable, Optional

import torch
from torch import Tensor

from .precision import full_precision


def squared_dice_loss(
    probability: Tensor,
    target: Tensor,
    weight: Optional[Tensor] = None,
    smooth: float = 1e-5,
    joint_sum: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Soft Dice loss with squared denominator over the whole batch (V-Net; released code of DTC).

    ``1 - (2 sum(p y) + smooth) / (sum p^2 + sum y^2 + smooth)`` of each class, mean over classes.
    The sums run over all pixels of all images together. A class without a pixel in ``target`` has
    a loss near 1 and next to no gradient.

    Args:
        probability (Tensor): ``(B, K, ...)`` in [0, 1], any number of dimensions in space.
        target (Tensor): Same shape, any dtype; 1 where a pixel is of the class, else 0.
        weight (Tensor, optional): ``(B, ...)``, constant, bool or float; pixels of weight 0 do not
            count. Defaults to None: 1.
        smooth (float): Defaults to 1e-5 (released code).
        joint_sum (Callable, optional): Takes ``(3, K)`` sums to those of all processes. Defaults
            to None: this one alone.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no pixel counts.

    Example:
        >>> target = torch.tensor([1, 1, 0, 0]).view(1, 1, 4)
        >>> round(squared_dice_loss(0.5 * torch.ones(1, 1, 4), target).item(), 4)  # 1 - 2 / 3
        0.3333
    """
    with torch.autocast(probability.device.type, enabled=False):
        probability = full_precision(probability)
        target = target.detach().to(probability.dtype)
        terms = torch.stack([probability * target, probability.square(), target.square()])
        if weight is not None:
            terms = terms * weight.detach().to(terms.dtype).unsqueeze(1)
        sums = terms.transpose(1, 2).flatten(2).sum(2)  # (3, K)
        overlap, predicted, labeled = sums if joint_sum is None else joint_sum(sums)
        dice = (2 * overlap + smooth) / (predicted + labeled + smooth)
        return (1 - dice).mean()
