# Copyright (c) mmseg_ctt contributors.
"""Selection and weighting of pixels per class at fixed shapes, without a loop over classes."""

from typing import Callable, Optional, Tuple

import torch
from torch import Tensor

TINY = 1e-37  # about the smallest normal float32


def class_balanced_weight(
    label: Tensor,
    valid: Tensor,
    num_classes: int,
    mean_count: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Class-balanced weights: a weighted sum is a mean per class, then a mean over present classes.

    ``w_q = valid_q / (|C| * |S_c(q)|)`` with ``S_c`` the valid pixels of class ``c`` and ``C``
    the classes that have any (CTT Eq 6 and 8). All weights are 0 when no pixel is valid.

    Args:
        label (Tensor): ``(*, N)`` int64; anything where ``valid`` is False. Leading dimensions
            are problems of their own.
        valid (Tensor): ``(*, N)`` bool.
        num_classes (int): ``K``; valid labels lie in ``[0, K)``.
        mean_count (Callable, optional): Takes the ``(*, K)`` counts to their mean over all
            processes. The mean of the processes' weighted sums is then that of one process with
            all their pixels. Defaults to None: one process.

    Returns:
        Tensor: ``(*, N)`` float32.
    """
    label, counted = label.masked_fill(~valid, 0), valid.float()
    count = counted.new_zeros(*label.shape[:-1], num_classes).scatter_add_(-1, label, counted)
    if mean_count is not None:
        count = mean_count(count)
    present = count.sign().sum(-1, keepdim=True).clamp_(min=1)
    return counted / (count * present).gather(-1, label).clamp_(min=TINY)


def sums_by_class(value: Tensor, label: Tensor, num_classes: int) -> Tuple[Tensor, Tensor]:
    """Sums by class: total of a value over the pixels of each class, and their number.

    Args:
        value (Tensor): Any shape, float.
        label (Tensor): Same shape, int64; labels outside ``[0, K)`` do not count.
        num_classes (int): ``K``.

    Returns:
        tuple[Tensor, Tensor]: Sums and counts, ``(K,)`` float64 each: float32 would lose the
        pixels of a large batch one by one.
    """
    # labels outside [0, K) to K, in a row that is left out
    row = label.flatten().clamp(-1, num_classes).remainder(num_classes + 1)
    value = value.flatten().double()
    zeros = value.new_zeros(num_classes + 1)
    total, count = (zeros.index_add(0, row, part) for part in (value, torch.ones_like(value)))
    return total[:-1], count[:-1]


@torch.no_grad()
def select_per_class(
    label: Tensor, score: Tensor, valid: Tensor, num_classes: int, budget: int
) -> Tuple[Tensor, Tensor]:
    """Top-``budget`` selection: the highest scores of every class.

    Args:
        label (Tensor): ``(*, N)`` int64; anything where ``valid`` is False. Leading dimensions
            are problems of their own.
        score (Tensor): ``(*, N)`` float.
        valid (Tensor): ``(*, N)`` bool, the candidates.
        num_classes (int): ``K``.
        budget (int): ``n``, candidates kept per class.

    Returns:
        tuple[Tensor, Tensor]: ``index`` ``(*, K, n)`` int64 into the pixels and ``taken``
        ``(*, K, n)`` bool. Taken entries come first: by falling score where a class has at least
        ``n`` candidates, else in their own order (as the released code of CTT does).
    """
    total = label.shape[-1]
    kept = min(budget, total)
    class_id = torch.arange(num_classes, device=label.device).unsqueeze(1)
    label = torch.where(valid, label, -1).unsqueeze(-2)
    value, index = score.unsqueeze(-2).masked_fill(label != class_id, -torch.inf).topk(kept)
    taken = value > -torch.inf
    by_position = torch.where(taken, index, total).sort().values
    full = taken.all(dim=-1, keepdim=True)
    if kept < budget:
        full.zero_()
    index = torch.where(full, index, by_position).clamp_(max=max(total - 1, 0))
    if kept < budget:
        index = torch.nn.functional.pad(index, (0, budget - kept))
        taken = torch.nn.functional.pad(taken, (0, budget - kept))
    return index, taken
