# Copyright (c) mmseg_ctt contributors.
"""Choosing pixels and queue entries per class at fixed shapes, by numbers that are given."""
from typing import Tuple

import torch
from torch import Tensor


@torch.no_grad()
def draw_per_class(label: Tensor, valid: Tensor, num_classes: int,
                   noise: Tensor) -> Tuple[Tensor, Tensor]:
    """Pixels of every class, uniformly and with replacement.

    Args:
        label (Tensor): ``(N,)`` int64, ``N`` at least 1; anything where ``valid`` is False.
        valid (Tensor): ``(N,)`` bool.
        num_classes (int): ``K``; valid labels lie in ``[0, K)``.
        noise (Tensor): ``(K, A)`` numbers in [0, 1).

    Returns:
        tuple[Tensor, Tensor]: ``index`` ``(K, A)`` int64 into the pixels, of no meaning for a
        class without a valid pixel, and ``count`` ``(K,)`` int64, valid pixels of each class.
    """
    label = label.masked_fill(~valid, num_classes)
    order = label.argsort(stable=True)
    count = label.new_zeros(num_classes + 1)
    count = count.scatter_add_(0, label, torch.ones_like(label))[:num_classes]
    start = (count.cumsum(0) - count).unsqueeze(1)
    place = start + draw_slots(count.unsqueeze(1), noise)
    return order[place.clamp_(max=label.shape[0] - 1)], count


@torch.no_grad()
def draw_slots(count: Tensor, noise: Tensor) -> Tensor:
    """Numbers in ``[0, count)``, 0 where the count is 0.

    Args:
        count (Tensor): int64, broadcast to ``noise``.
        noise (Tensor): Numbers in [0, 1).

    Returns:
        Tensor: As ``noise``, int64.
    """
    # a product just below the count may be rounded up to it
    return torch.minimum((noise * count).long(), count - 1).clamp_(min=0)


@torch.no_grad()
def best_of_members(member: Tensor, score: Tensor, number: int) -> Tuple[Tensor, Tensor]:
    """The highest scores of every class, where a pixel may belong to several classes.

    Args:
        member (Tensor): ``(K, N)`` bool.
        score (Tensor): ``(N,)`` float.
        number (int): Kept per class.

    Returns:
        tuple[Tensor, Tensor]: ``index`` ``(K, n)`` int64 into the pixels, by falling score, with
        ``n = min(number, N)``, and ``taken`` ``(K, n)`` bool, False behind the last member.
    """
    score = torch.where(member, score, -torch.inf)
    value, index = score.topk(min(number, score.shape[1]), dim=1)
    return index, value > -torch.inf
