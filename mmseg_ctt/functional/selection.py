# Copyright (c) mmseg_ctt contributors.
"""Choosing pixels per class at fixed shapes: no loop over classes, no host synchronisation."""
from typing import Callable, Optional, Tuple

import torch
from torch import Tensor


def class_balanced_weight(label: Tensor,
                          valid: Tensor,
                          num_classes: int,
                          mean_count: Optional[Callable[[Tensor], Tensor]] = None) -> Tensor:
    """Weights whose sum over pixels is a mean per class, then a mean over the present classes.

    ``w_q = valid_q / (|C| * |S_c(q)|)`` with ``S_c`` the valid pixels of class ``c`` and ``C``
    the classes that have any (CTT Eq 6 and 8). All weights are 0 when no pixel is valid.

    Args:
        label (Tensor): ``(N,)`` int64; anything where ``valid`` is False.
        valid (Tensor): ``(N,)`` bool.
        num_classes (int): ``K``; valid labels lie in ``[0, K)``.
        mean_count (Callable, optional): Takes the ``(K,)`` counts to their mean over all
            processes. The mean of the processes' weighted sums is then that of one process with
            all their pixels. Defaults to None: one process.

    Returns:
        Tensor: ``(N,)`` float32.
    """
    label = label.masked_fill(~valid, 0)
    count = torch.zeros(num_classes, device=label.device).index_add_(0, label, valid.float())
    if mean_count is not None:
        count = mean_count(count)
    present = (count > 0).sum().clamp(min=1)
    return valid / (torch.where(count > 0, count, 1)[label] * present)


@torch.no_grad()
def select_per_class(label: Tensor,
                     score: Tensor,
                     valid: Tensor,
                     num_classes: int,
                     budget: int) -> Tuple[Tensor, Tensor]:
    """The ``budget`` highest scores of every class.

    Args:
        label (Tensor): ``(N,)`` int64; anything where ``valid`` is False.
        score (Tensor): ``(N,)`` float.
        valid (Tensor): ``(N,)`` bool, the candidates.
        num_classes (int): ``K``.
        budget (int): ``n``, candidates kept per class.

    Returns:
        tuple[Tensor, Tensor]: ``index`` ``(K, n)`` int64 into the pixels and ``taken`` ``(K, n)``
        bool. Taken entries come first: by falling score where a class has at least ``n``
        candidates, else in their own order (as the released code of CTT does).
    """
    total = label.shape[0]
    kept = min(budget, total)
    member = valid & (label == torch.arange(num_classes, device=label.device).unsqueeze(1))
    value, index = score.expand(num_classes, -1).masked_fill(~member, -torch.inf).topk(kept, dim=1)
    taken = value > -torch.inf
    by_position = index.masked_fill(~taken, total).sort(dim=1).values
    full = taken.all(dim=1, keepdim=True) & (kept == budget)
    index = torch.where(full, index, by_position.clamp(max=max(total - 1, 0)))
    if kept < budget:
        index = torch.nn.functional.pad(index, (0, budget - kept))
        taken = torch.nn.functional.pad(taken, (0, budget - kept))
    return index, taken
