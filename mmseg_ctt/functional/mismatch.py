# Copyright (c) mmseg_ctt contributors.
"""Which pseudo-labels the professional student of STPG learns from.

Source: STPG, arXiv 2409.12680, and its released code (the paper's numbered equations were not
available to us).
"""
from typing import Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def confusion_matrix(row: Tensor,
                     column: Tensor,
                     num_classes: int,
                     valid: Optional[Tensor] = None) -> Tensor:
    """Number of pixels that have class ``i`` in one map and class ``j`` in the other.

    Args:
        row (Tensor): int64 of any shape, in ``[0, K)``.
        column (Tensor): The same.
        num_classes (int): ``K``.
        valid (Tensor, optional): bool of the same shape, pixels that count. Defaults to None: all.

    Returns:
        Tensor: ``(K, K)`` int64, ``[i, j]`` for ``row == i`` and ``column == j``.
    """
    cell = _cell(row, column, num_classes).flatten()
    one = torch.ones_like(cell) if valid is None else valid.flatten().long()
    count = torch.zeros(num_classes**2, dtype=torch.long, device=cell.device)
    return count.scatter_add_(0, cell, one).view(num_classes, num_classes)


@torch.no_grad()
def mismatch_score(teacher: Tensor,
                   student: Tensor,
                   num_classes: int,
                   valid: Optional[Tensor] = None,
                   sum_counts: Optional[Callable[[Tensor], Tensor]] = None) -> Tensor:
    """How badly a student follows its teacher on each class of a batch (STPG).

    ``(1 - precision_c) + (1 - recall_c)`` from the batch confusion matrix with 1 added to every
    diagonal entry, so that a class that is absent from both maps scores 0; over its sum.

    Args:
        teacher (Tensor): int64 labels of any shape, in ``[0, K)``.
        student (Tensor): int64 predictions of the same shape and range.
        num_classes (int): ``K``.
        valid (Tensor, optional): bool of the same shape, pixels that count. Defaults to None: all.
        sum_counts (Callable, optional): Takes the ``(K, K)`` int64 counts to their sum over all
            processes. Defaults to None: one process.

    Returns:
        Tensor: ``(K,)`` float64, sum 1; all 0 where teacher and student agree on every pixel (the
        released code gives NaN, with the same pixels selected).
    """
    count = confusion_matrix(teacher, student, num_classes, valid)
    count = count if sum_counts is None else sum_counts(count)
    count = count.double() + torch.eye(num_classes, dtype=torch.double, device=count.device)
    hit = count.diagonal()
    score = (1 - hit / count.sum(dim=0)) + (1 - hit / count.sum(dim=1))
    total = score.sum()
    return score / torch.where(total > 0, total, 1)


@torch.no_grad()
def mismatch_selection(teacher: Tensor, student: Tensor, score: Tensor) -> Tensor:
    """Pixels where both agree, or the teacher names a class with the larger mismatch (STPG).

    Args:
        teacher (Tensor): int64 labels of any shape, in ``[0, K)``.
        student (Tensor): int64 predictions of the same shape and range.
        score (Tensor): ``(K,)`` of :func:`mismatch_score`.

    Returns:
        Tensor: bool of the same shape.
    """
    harder = score.unsqueeze(1) > score  # (K, K), the teacher's class in the row
    kept = harder.fill_diagonal_(True)
    return kept.flatten()[_cell(teacher, student, score.shape[0])]


def weighted_cross_entropy(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy times a weight of each pixel, mean over *all* pixels.

    Args:
        logits (Tensor): ``(B, K, H, W)``.
        label (Tensor): ``(B, H, W)`` int64 in ``[0, K)``.
        weight (Tensor): ``(B, H, W)``, constant.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if all weights are 0.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    with torch.autocast(logits.device.type, enabled=False):
        value = F.cross_entropy(logits, label, reduction='none')
        return (value * weight.detach().to(value.dtype)).mean()


def _cell(row: Tensor, column: Tensor, num_classes: int) -> Tensor:
    """Index into a flattened ``(K, K)`` table."""
    return row * num_classes + column
