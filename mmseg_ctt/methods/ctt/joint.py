# Copyright (c) mmseg_ctt contributors.
"""Both contrasts of all pairs at once: what they have in common is computed once (CTT Eq 6-9)."""

from typing import Callable, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.precision import full_precision
from .bank_contrast import UnitRows, bank_contrast


class Pixels(NamedTuple):
    """Classes and masks of the pixels of both contrasts.

    Attributes:
        truth (Tensor): ``(B_l, h, w)`` int64 of the labelled images; labels outside ``[0, K)`` are
            left out.
        target (Tensor): ``(P, B_u, h, w)`` int64 pseudo-label; anything where ``confident`` is
            False.
        confident (Tensor): ``(P, B_u, h, w)`` bool, the mask of Eq 7.
        peer_label (Tensor): ``(P, B_u, h, w)`` int64, class in the next pair.
        chosen (Tensor): ``(P, B_u, h, w)`` bool, the mask of Eq 9.
    """

    truth: Tensor
    target: Tensor
    confident: Tensor
    peer_label: Tensor
    chosen: Tensor


def cross_contrast(
    query: Tensor,
    pixels: Pixels,
    bank: Tensor,
    bank_valid: Optional[Tensor],
    temperatures: Tuple[float, float],
    mean_count: Optional[Callable[[Tensor], Tensor]] = None,
    elements: Optional[int] = None,
) -> Tuple[Tensor, Tensor]:
    """High-level contrast of all pixels, low-level contrast of the unlabelled ones.

    The values of :func:`high_level_contrast` and :func:`low_level_contrast`, where the peer of a
    pair is the next one and the bank of the second holds the entries of both. A single pair has no
    peer, and a low-level contrast of 0.

    Args:
        query (Tensor): ``(P, N, D)`` features of the pixels of ``P`` pairs, those of the labelled
            images first. Receives the gradient.
        pixels (Pixels): Their classes and masks.
        bank (Tensor): ``(P, K, V, D)`` features, constant.
        bank_valid (Tensor, optional): ``(P, K, V)`` bool, filled entries. None: all.
        temperatures (tuple[float, float]): Of the high-level and the low-level contrast.
        mean_count (Callable, optional): See :func:`class_balanced_weight`.
        elements (int, optional): Similarities held at a time, see :func:`bank_contrast`.

    Returns:
        tuple[Tensor, Tensor]: ``(P,)`` each; 0 with a graph where no pixel is selected.
    """
    labeled = pixels.truth.numel()
    numbers = query.shape[1], query.shape[1] - labeled
    labels, weights = (
        rows.split(numbers, 1) for rows in class_and_weight(pixels, bank, bank_valid, mean_count)
    )
    high, low = temperatures
    query = full_precision(query)
    with torch.autocast(query.device.type, enabled=False):
        rows, keys = UnitRows.of(query), F.normalize(bank, dim=3)
        first = bank_contrast(
            query, rows, None, labels[0], weights[0], keys / high, bank_valid, high, elements
        )
        if len(query) == 1:
            return first, query[:, :0].sum((1, 2))
        query, unit, shrink = (part[:, labeled:] for part in (query, *rows))
        with torch.no_grad():
            peer = next_pair(F.normalize(query, dim=2)).div_(low)
        keys = torch.cat([keys, next_pair(keys)], 2).div_(low)
        if bank_valid is not None:
            bank_valid = torch.cat([bank_valid, next_pair(bank_valid)], 2)
        rows = UnitRows(unit, shrink)
        return first, bank_contrast(
            query, rows, peer, labels[1], weights[1], keys, bank_valid, low, elements
        )


def class_and_weight(
    pixels: Pixels,
    bank: Tensor,
    bank_valid: Optional[Tensor],
    mean_count: Optional[Callable[[Tensor], Tensor]],
) -> Tuple[Tensor, Tensor]:
    """Class in ``[0, K)`` and class-balanced weight of the pixels of both contrasts.

    Returns:
        tuple[Tensor, Tensor]: ``(P, (B_l + B_u + B_u) * h * w)`` int64 and float32: the pixels of
        the high-level contrast, then those of the low-level one; see
        :func:`class_balanced_weight`.
    """
    pairs, classes = bank.shape[:2]
    truth, rest = pixels.truth, 2 * classes  # low-level classes from K on, pixels left out at 2K
    known = truth.clamp(0, classes - 1) == truth
    known, truth = (map_.expand(pairs, -1, -1, -1) for map_ in (known, truth))
    valid = torch.cat([known, pixels.confident, pixels.chosen], 1)
    label = torch.cat([truth, pixels.target, pixels.peer_label + classes], 1)
    label = label.masked_fill(~valid, rest).flatten(1)
    if bank_valid is not None:  # no high-level contrast of classes without any entry
        empty = F.pad(~bank_valid.any(2), (0, classes + 1))
        label = label.masked_fill(empty.gather(1, label), rest)
    ones = torch.ones_like(label, dtype=torch.float32)
    count = ones.new_zeros(pairs, rest + 1).scatter_add_(1, label, ones)
    if mean_count is not None:
        count = mean_count(count)
    count = count[:, :-1].unflatten(1, (2, classes))
    # a class without a pixel has no weight that would be read
    weight = (count * count.sign().sum(2, keepdim=True)).reciprocal().flatten(1)
    return label.remainder(classes), F.pad(weight, (0, 1)).gather(1, label)


def next_pair(tensor: Tensor) -> Tensor:
    """Entry ``i + 1`` of the leading dimension at ``i``, the first one last."""
    return tensor.roll(-1, dims=0)
