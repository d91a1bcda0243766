# Copyright (c) mmseg_ctt contributors.
"""Exponential moving average of weights."""

from typing import Sequence

import torch
from torch import Tensor


def ema_decay(step: int, alpha: float = 0.99) -> float:
    """EMA decay of update number ``step`` (0-based), with a warm start.

    ``min(1 - 1 / (step + 1), alpha)``: the first update copies the student, and the average is
    the plain mean of all students until ``alpha`` is reached (CTT released code).

    Args:
        step (int): Number of updates done before this one.
        alpha (float): Final weight of the old teacher. Defaults to 0.99.

    Returns:
        float: Weight of the old teacher in this update.

    Example:
        >>> [ema_decay(step, alpha=0.6) for step in range(4)]
        [0.0, 0.5, 0.6, 0.6]
    """
    return min(1 - 1 / (step + 1), alpha)


@torch.no_grad()
def ema_update_(teacher: Sequence[Tensor], student: Sequence[Tensor], alpha: float) -> None:
    """EMA update in place, ``teacher = alpha * teacher + (1 - alpha) * student``, in one call.

    Args:
        teacher (Sequence[Tensor]): Floating point tensors, changed in place.
        student (Sequence[Tensor]): Tensors of the same shapes, dtypes and devices.
        alpha (float): Weight of the old teacher, in [0, 1].

    Raises:
        ValueError: If the two lists differ in length or ``alpha`` is outside [0, 1].
    """
    if len(teacher) != len(student):
        raise ValueError(f'teacher has {len(teacher)} tensors, student {len(student)}')
    if not 0 <= alpha <= 1:
        raise ValueError(f'alpha must be in [0, 1], got {alpha}')
    if teacher:
        torch._foreach_lerp_(list(teacher), list(student), 1 - alpha)


@torch.no_grad()
def copy_tensors_(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy tensors in place, in one call where PyTorch has one (from 2.1 on).

    Args:
        targets (Sequence[Tensor]): Changed in place.
        sources (Sequence[Tensor]): As many tensors of the same shapes.
    """
    if hasattr(torch, '_foreach_copy_'):
        torch._foreach_copy_(list(targets), list(sources))
        return
    for target, source in zip(targets, sources):
        target.copy_(source)
