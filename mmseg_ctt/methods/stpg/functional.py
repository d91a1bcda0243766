# Copyright (c) mmseg_ctt contributors.
"""Contrast with equiangular class anchors and a class memory, and the mismatch score (STPG).

Source: STPG, arXiv 2409.12680, and its released code (the paper's numbered equations were not
available to us).
"""

from typing import Callable, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.consistency import weighted_cross_entropy as weighted_cross_entropy
from ...functional.unit import unit

AVERAGES = ('all', 'present')


def equiangular_anchors(num_classes: int, dim: int, seed: int = 0) -> Tensor:
    """Equiangular class anchors: ``K`` unit vectors, any two with the cosine ``-1 / (K - 1)``.

    The corners of a simplex, ``sqrt(K / (K - 1)) (I - 1 1^T / K)``, turned into ``D`` dimensions
    by random orthonormal vectors. The released code reads numerically optimised ones from a file.

    Args:
        num_classes (int): ``K``, at least 2.
        dim (int): ``D``, at least ``K - 1``.
        seed (int): Of the rotation. Defaults to 0.

    Returns:
        Tensor: ``(K, D)`` float32, on the host.

    Raises:
        ValueError: If so many vectors do not fit into the space.
    """
    if num_classes < 2 or dim < num_classes - 1:
        raise ValueError(
            f'equiangular anchors of {num_classes} classes need at least 2 classes and '
            f'{num_classes - 1} dimensions, got {dim}: raise model.contrast.dim'
        )
    generator = torch.Generator().manual_seed(seed)
    centred = torch.eye(num_classes, dtype=torch.double) - 1 / num_classes
    corners = torch.linalg.svd(centred)[0][:, :-1]  # (K, K-1), rows of equal length and angles
    rotation, _ = torch.linalg.qr(
        torch.randn(dim, num_classes - 1, dtype=torch.double, generator=generator)
    )
    return F.normalize(corners @ rotation.t(), dim=1).float()


@torch.no_grad()
def moving_centroids(
    centroids: Tensor,
    feature: Tensor,
    label: Tensor,
    valid: Tensor,
    momentum: float = 0.9,
    sum_counts: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Class centroids after a step towards the mean directions of a batch (STPG).

    ``mu_c = normalize(m mu_c + (1 - m) normalize(mean_i normalize(f_i)))``; a class without a
    valid pixel keeps its centroid.

    Args:
        centroids (Tensor): ``(K, D)`` unit vectors.
        feature (Tensor): ``(N, D)``.
        label (Tensor): ``(N,)`` int64; anything where ``valid`` is False.
        valid (Tensor): ``(N,)`` bool.
        momentum (float): ``m``. Defaults to 0.9 (released code).
        sum_counts (Callable, optional): Takes ``(K, D + 1)`` sums of directions and numbers of
            pixels to their sum over all processes. Defaults to None: one process.

    Returns:
        Tensor: ``(K, D)``, dtype of ``centroids``.
    """
    classes = torch.arange(centroids.shape[0], device=label.device).unsqueeze(1)
    in_class = ((label == classes) & valid).to(centroids.dtype)  # (K, N)
    with torch.autocast(feature.device.type, enabled=False):
        # a product, not an indexed addition: the order of the sum is fixed on GPUs too
        total = torch.cat(
            [in_class @ unit(feature.to(centroids.dtype)), in_class.sum(dim=1, keepdim=True)], dim=1
        )
        total = total if sum_counts is None else sum_counts(total)
        moved = momentum * centroids + (1 - momentum) * unit(total[:, :-1])
        return torch.where(total[:, -1:] > 0, unit(moved), centroids)


def anchor_contrast(
    feature: Tensor,
    label: Tensor,
    anchors: Tensor,
    bank: Optional[Tensor] = None,
    temperature: float = 0.5,
    valid: Optional[Tensor] = None,
    bank_valid: Optional[Tensor] = None,
    minimum: int = 2,
    average: str = 'all',
    sum_counts: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Dual contrast: attraction of pixels to the anchor and to the memory of their class (STPG).

    Of a pixel ``f`` of class ``c``: cross-entropy of ``normalize(f) A^T / temperature`` with the
    target ``c``, plus ``1 - cos(f, m)``, mean over the entries ``m`` of the class in the bank.
    Mean over the pixels of a class, sum over classes, over ``K`` (released code).

    Args:
        feature (Tensor): ``(N, D)``, normalised here. Receives the gradient.
        label (Tensor): ``(N,)`` int64; anything where ``valid`` is False.
        anchors (Tensor): ``(K, D)`` unit vectors, constant.
        bank (Tensor, optional): ``(K, V, D)`` features, constant. Defaults to None: anchors only.
        temperature (float): Defaults to 0.5 (released code).
        valid (Tensor, optional): ``(N,)`` bool. Defaults to None: all.
        bank_valid (Tensor, optional): ``(K, V)`` bool, filled entries. Defaults to None: all.
        minimum (int): Pixels that a class needs to count, and entries it needs for the memory
            term. Defaults to 2 (released code).
        average (str): ``'all'`` divides by ``K`` (released code), ``'present'`` by the number of
            classes that count. Defaults to 'all'.
        sum_counts (Callable, optional): Takes ``(K + 1,)`` numbers of pixels to their sum over
            all processes. The mean of the processes' losses is then that of one process with all
            their pixels. Defaults to None: one process.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no pixel counts.

    Raises:
        ValueError: If feature widths differ or ``average`` is unknown.
    """
    _check_widths(feature, anchors, bank)
    if average not in AVERAGES:
        raise ValueError(f'average must be one of {AVERAGES}, got {average!r}')
    dtype = torch.float64 if feature.dtype == torch.float64 else torch.float32
    valid = torch.ones_like(label, dtype=torch.bool) if valid is None else valid
    label = label.masked_fill(~valid, 0)
    weight = _class_weight(label, valid, anchors.shape[0], minimum, average, sum_counts)
    with torch.autocast(feature.device.type, enabled=False):
        directions = unit(feature.to(dtype))
        logits = directions @ anchors.detach().to(dtype).t() / temperature
        term = F.cross_entropy(logits, label, reduction='none')
        if bank is not None:
            mean, known = _bank_mean(bank.detach().to(dtype), bank_valid, minimum)
            cosine = (directions @ mean.t()).gather(1, label.unsqueeze(1)).squeeze(1)
            term = term + (1 - cosine) * known[label]
        return (weight.to(dtype) * term).sum()


def _check_widths(feature: Tensor, anchors: Tensor, bank: Optional[Tensor]) -> None:
    others = [feature.shape[1]] if bank is None else [feature.shape[1], bank.shape[2]]
    if any(width != anchors.shape[1] for width in others):
        raise ValueError(
            f'the features are {feature.shape[1]} wide, the anchors '
            f'{anchors.shape[1]}: model.contrast.dim is the width of both'
        )


@torch.no_grad()
def _class_weight(
    label: Tensor,
    valid: Tensor,
    num_classes: int,
    minimum: int,
    average: str,
    sum_counts: Optional[Callable[[Tensor], Tensor]],
) -> Tensor:
    """``(N,)``: one over the pixels of the class and the number of classes, 0 where too few.

    The last count is the number of processes, by which DDP divides afterwards.
    """
    count = torch.zeros(num_classes + 1, device=label.device)
    count[-1:].fill_(1)
    count[:-1].index_add_(0, label, valid.float())
    count = count if sum_counts is None else sum_counts(count)
    count, parts = count[:-1], count[-1]
    enough = count >= max(minimum, 1)
    classes = num_classes if average == 'all' else enough.sum().clamp(min=1)
    weight = enough * parts / (count.clamp(min=1) * classes)
    return weight[label] * valid


@torch.no_grad()
def _bank_mean(bank: Tensor, bank_valid: Optional[Tensor], minimum: int) -> Tuple[Tensor, Tensor]:
    """Mean direction of each class ``(K, D)``, and which classes have enough entries ``(K,)``.

    The mean cosine with all entries is the cosine with this mean: no pixel-by-entry table.
    """
    filled = bank.new_ones(bank.shape[:2]) if bank_valid is None else bank_valid.to(bank.dtype)
    count = filled.sum(dim=1)
    mean = (unit(bank) * filled.unsqueeze(2)).sum(dim=1) / count.clamp(min=1).unsqueeze(1)
    return mean, (count >= minimum).to(bank.dtype)


@torch.no_grad()
def confusion_matrix(
    row: Tensor, column: Tensor, num_classes: int, valid: Optional[Tensor] = None
) -> Tensor:
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
    counted = torch.ones_like(cell) if valid is None else valid.flatten().long()
    count = torch.zeros(num_classes**2, dtype=torch.long, device=cell.device)
    return count.scatter_add_(0, cell, counted).view(num_classes, num_classes)


@torch.no_grad()
def mismatch_score(
    teacher: Tensor,
    student: Tensor,
    num_classes: int,
    valid: Optional[Tensor] = None,
    sum_counts: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Mismatch of a student and its teacher, per class of a batch (STPG).

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
    """Pixels where both agree, or the teacher's class has the larger mismatch (STPG).

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


def _cell(row: Tensor, column: Tensor, num_classes: int) -> Tensor:
    """Index into a flattened ``(K, K)`` table."""
    return row * num_classes + column
