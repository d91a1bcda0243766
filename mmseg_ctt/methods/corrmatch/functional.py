# Copyright (c) mmseg_ctt contributors.
"""Mathematics of CorrMatch: correlation of pixels, propagation over pixels and over regions."""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.precision import full_precision


def pixel_correlation(query: Tensor, key: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Correlation map ``A_ij = softmax_j(query_i . key_j / sqrt(D))`` of the pixels of an image.

    Args:
        query (Tensor): ``(B, D, h, w)``, any floating dtype.
        key (Tensor): ``(B, D, h, w)``.
        valid (Tensor, optional): ``(B, h, w)`` bool; with the others nothing correlates. Defaults
            to None: all.

    Returns:
        Tensor: ``(B, h*w, h, w)`` float32 (float64 for double input); row ``i`` sums to 1.
    """
    size, scale = key.shape[-2:], query.shape[1] ** -0.5
    query, key = (full_precision(map_).flatten(2) for map_ in (query, key))
    with torch.autocast(query.device.type, enabled=False):
        scores = torch.bmm(query.transpose(1, 2), key) * scale
        if valid is not None:
            scores = scores.masked_fill(~valid.flatten(1)[:, None], torch.finfo(scores.dtype).min)
        return scores.softmax(-1).unflatten(2, size)


def spread_logits(
    logits: Tensor, correlation: Tensor, transposed: bool = False, valid: Optional[Tensor] = None
) -> Tensor:
    """Logits of each pixel from those of the pixels that it correlates with.

    ``out_i = sum_j A_ij z_j``, whose weights sum to 1; ``transposed``: ``out_j = sum_i A_ij z_i``,
    whose weights do not (released code).

    Args:
        logits (Tensor): ``(B, K, h, w)``, any floating dtype.
        correlation (Tensor): ``(B, h*w, h, w)`` of :func:`pixel_correlation`.
        transposed (bool): See above. Defaults to False.
        valid (Tensor, optional): ``(B, h, w)`` bool; the others spread nothing. Defaults to None:
            all.

    Returns:
        Tensor: ``(B, K, h, w)`` float32 (float64 for double input).
    """
    weights = correlation.flatten(2)
    weights = weights if transposed else weights.transpose(1, 2)
    with torch.autocast(logits.device.type, enabled=False):
        if valid is not None:
            logits = logits.masked_fill(~valid[:, None], 0)
        spread = torch.bmm(logits.flatten(2).to(weights.dtype), weights)
    return spread.view(logits.shape)


@torch.no_grad()
def region_masks(
    correlation: Tensor,
    index: Tensor,
    size: Tuple[int, int],
    align_corners: bool = False,
    valid: Optional[Tensor] = None,
) -> Tensor:
    """Regions of the pixels that correlate most with some chosen pixels.

    A region holds the pixels whose correlation lies above the middle between the lowest and the
    highest one of the image.

    Args:
        correlation (Tensor): ``(B, h*w, h, w)`` of :func:`pixel_correlation`.
        index (Tensor): ``(B, n)`` int64, chosen pixels (rows of the map) of each image.
        size (tuple[int, int]): ``(H, W)`` of the regions.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.
        valid (Tensor, optional): ``(B, H, W)`` bool; the others are in no region. Defaults to
            None: all.

    Returns:
        Tensor: ``(B, n, H, W)`` bool; a row of equal values has an empty region.
    """
    rows = correlation.gather(1, index[..., None, None].expand(-1, -1, *correlation.shape[2:]))
    rows = F.interpolate(rows, size, mode='bilinear', align_corners=align_corners)
    low, high = rows, rows
    if valid is not None:
        low, high = (rows.masked_fill(~valid[:, None], bound) for bound in (2.0, -1.0))
    middle = (high.amax((2, 3), keepdim=True) + low.amin((2, 3), keepdim=True)) / 2
    return high > middle


@torch.no_grad()
def propagate_regions(
    label: Tensor,
    kept: Tensor,
    regions: Tensor,
    threshold: Tensor,
    num_classes: int,
    sequential: bool = False,
) -> Tuple[Tensor, Tensor]:
    """Pseudo-labels that grow over whole regions of similar pixels.

    A region is accepted where the ratio of its kept pixels is at least the threshold, and the
    ratio of the most frequent class among these is above it. All its pixels get this class and
    are kept.

    All regions are tested with the labels as they were before. Where several accepted ones
    overlap, each votes for its class with the ratio of that class among its kept pixels; the class
    of the most votes wins (ours). ``sequential``: they are tested one after the other with the
    labels of those before, and the last wins (released code).

    Args:
        label (Tensor): ``(B, H, W)`` int64, in ``[0, K)`` where kept.
        kept (Tensor): ``(B, H, W)`` bool, confident pixels.
        regions (Tensor): ``(B, n, H, W)`` bool.
        threshold (Tensor): Scalar in [0, 1].
        num_classes (int): ``K``.
        sequential (bool): See above; a loop over the regions. Defaults to False.

    Returns:
        tuple[Tensor, Tensor]: ``(B, H, W)`` int64 label, and bool, pixels that are kept.
    """
    shape = label.shape
    rule = _one_after_the_other if sequential else _all_at_once
    label, grown = rule(
        label.flatten(1), kept.flatten(1), regions.flatten(2), threshold, num_classes
    )
    return label.view(shape), kept | grown.view(shape)


def _all_at_once(
    label: Tensor, kept: Tensor, regions: Tensor, threshold: Tensor, num_classes: int
) -> Tuple[Tensor, Tensor]:
    """Labels, and pixels of accepted regions; all flattened."""
    with torch.autocast(label.device.type, enabled=False):
        inside = regions.to(threshold.dtype)
        one_hot = inside.new_zeros(len(label), num_classes, label.shape[1])
        one_hot.scatter_(1, label.masked_fill(~kept, 0)[:, None], kept.to(inside.dtype)[:, None])
        counts = torch.bmm(inside, one_hot.transpose(1, 2))
        accepted, ratio, best = _accepted(counts, inside.sum(-1), threshold)
        votes = torch.zeros_like(counts).scatter_(2, best[..., None], (ratio * accepted)[..., None])
        most, winner = torch.bmm(votes.transpose(1, 2), inside).max(1)
    grown = most > 0
    return torch.where(grown, winner, label), grown


def _one_after_the_other(
    label: Tensor, kept: Tensor, regions: Tensor, threshold: Tensor, num_classes: int
) -> Tuple[Tensor, Tensor]:
    """The same in the released order."""
    grown = torch.zeros_like(kept)
    for region in regions.unbind(1):
        counted = region & kept
        counts = threshold.new_zeros(len(label), num_classes)
        counts.scatter_add_(1, label.masked_fill(~counted, 0), counted.to(counts.dtype))
        accepted, _, best = _accepted(counts, region.sum(-1).to(counts.dtype), threshold)
        changed = region & accepted[:, None]
        label, grown = torch.where(changed, best[:, None], label), grown | changed
    return label, grown


def _accepted(counts: Tensor, size: Tensor, threshold: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """Whether regions are accepted, ratio of their most frequent class, and that class.

    Args:
        counts (Tensor): ``(*, K)`` kept pixels of each class in a region.
        size (Tensor): ``(*)`` pixels of a region.
        threshold (Tensor): Scalar.
    """
    number = counts.sum(-1)
    most, best = counts.max(-1)
    ratio = most / number.clamp(min=1)
    confident = (number > 0) & (number / size.clamp(min=1) >= threshold)
    return confident & (ratio > threshold), ratio, best


def class_maxima(confidence: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """Highest confidence of the pixels labelled as each class, 0 for a class without any.

    Args:
        confidence (Tensor): Any shape, in (0, 1].
        label (Tensor): Same shape, int64; labels outside ``[0, K)`` do not count.
        num_classes (int): ``K``.

    Returns:
        Tensor: ``(K,)`` of the dtype of ``confidence``.
    """
    known = (label >= 0) & (label < num_classes)
    label, value = label.masked_fill(~known, 0).flatten(), confidence.masked_fill(~known, 0)
    maxima = confidence.new_zeros(num_classes)
    return maxima.scatter_reduce_(0, label, value.flatten(), 'amax')


def threshold_update(threshold: Tensor, maxima: Tensor, momentum: float) -> Tensor:
    """Moving average of the mean of the classes' highest confidences.

    Args:
        threshold (Tensor): Scalar, before.
        maxima (Tensor): ``(K,)`` of :func:`class_maxima`; classes of 0 do not count.
        momentum (float): Weight of the value before.

    Returns:
        Tensor: Scalar; the value before if no class counts.
    """
    number = (maxima > 0).sum()
    value = maxima.sum() / number.clamp(min=1)
    return torch.where(number > 0, momentum * threshold + (1 - momentum) * value, threshold)
