# Copyright (c) mmseg_ctt contributors.
"""Dual-task consistency: from a level set to a probability, and the losses of the level set."""

from typing import Callable, Optional

import torch
from torch import Tensor

from ...functional.precision import full_precision

Count = Callable[[Tensor], Tensor]


def smooth_heaviside(level_set: Tensor, steepness: float = 1500.0) -> Tensor:
    """Probability ``sigmoid(-k z)`` of the inside of a level set (T^-1 of the paper).

    Args:
        level_set (Tensor): ``z``, any shape; negative inside.
        steepness (float): ``k``. Defaults to 1500 (released code): the value leaves 0 and 1 only
            where ``|z|`` is below about 0.005.

    Returns:
        Tensor: Same shape, float32 (float64 for double input).
    """
    return torch.sigmoid(-steepness * full_precision(level_set))


def dual_task_consistency(
    level_set: Tensor,
    probability: Tensor,
    steepness: float = 1500.0,
    valid: Optional[Tensor] = None,
    mean_count: Optional[Count] = None,
) -> Tensor:
    """Squared difference of both tasks' predictions, mean over pixels and classes.

    Both get the gradient (released code: no detach).

    Args:
        level_set (Tensor): ``(B, C, H, W)`` in [-1, 1], negative inside.
        probability (Tensor): Same shape, in [0, 1].
        steepness (float): See :func:`smooth_heaviside`. Defaults to 1500.
        valid (Tensor, optional): ``(B, H, W)`` bool, pixels that count. Defaults to None: all.
        mean_count (Callable, optional): Takes the number of these pixels to its mean over all
            processes. Defaults to None: this one alone.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no pixel counts.

    Example:
        >>> level_set = torch.tensor([-0.1, 0.0, 0.1]).view(1, 1, 1, 3)
        >>> probability = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
        >>> round(dual_task_consistency(level_set, probability).item(), 4)  # 0.5^2 / 3
        0.0833
    """
    inside = smooth_heaviside(level_set, steepness)
    return _mean((inside - full_precision(probability)).square(), valid, mean_count)


def distance_loss(
    level_set: Tensor,
    distance: Tensor,
    valid: Optional[Tensor] = None,
    mean_count: Optional[Count] = None,
) -> Tensor:
    """Squared error of a level set against signed distances, mean over pixels and classes.

    Args:
        level_set (Tensor): ``(B, C, H, W)`` in [-1, 1].
        distance (Tensor): Same shape, constant.
        valid (Tensor, optional): As in :func:`dual_task_consistency`. Defaults to None: all.
        mean_count (Callable, optional): As in :func:`dual_task_consistency`.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no pixel counts.
    """
    error = full_precision(level_set) - full_precision(distance.detach())
    return _mean(error.square(), valid, mean_count)


def _mean(values: Tensor, valid: Optional[Tensor], mean_count: Optional[Count]) -> Tensor:
    """Mean of ``(B, C, H, W)`` over classes and the pixels that count."""
    if valid is None:
        valid = torch.ones_like(values[:, 0], dtype=torch.bool)
    count = valid.sum().to(values.dtype)
    if mean_count is not None:
        count = mean_count(count)
    total = values.masked_fill(~valid.unsqueeze(1), 0).sum()
    return total / (count.clamp(min=1) * values.shape[1])
