# Copyright (c) mmseg_ctt contributors.
"""AuxSegNet: affinities between positions, what they do to maps, and the saliency loss."""

import math
from typing import Callable, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional import resized_cross_entropy
from ...functional.precision import full_precision

Count = Callable[[Tensor], Tensor]


def pooling_stride(size: Tuple[int, int], max_tokens: int) -> int:
    """Smallest stride at which a map has no more positions than allowed.

    Args:
        size (tuple[int, int]): ``(h, w)`` of the map.
        max_tokens (int): Number of positions that an affinity may have; 1 at least.

    Example:
        >>> pooling_stride((41, 41), 4096), pooling_stride((100, 80), 4096)
        (1, 2)
    """
    height, width = size
    stride = max(1, math.isqrt(max(0, height * width - 1) // max_tokens))
    while math.ceil(height / stride) * math.ceil(width / stride) > max_tokens:
        stride += 1
    return stride


def pooled(maps: Tensor, stride: int) -> Tensor:
    """Means over squares of ``stride`` positions; those at the border may be smaller.

    Args:
        maps (Tensor): ``(B, C, h, w)``.
        stride (int): 1 changes nothing.

    Returns:
        Tensor: ``(B, C, ceil(h / stride), ceil(w / stride))``.
    """
    return maps if stride == 1 else F.avg_pool2d(maps, stride, ceil_mode=True)


def pixel_affinity(query: Tensor, key: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Affinity of each position to all others: softmax of the dot products (no scaling).

    Args:
        query (Tensor): ``(B, D, h, w)``.
        key (Tensor): Same shape.
        valid (Tensor, optional): ``(B, h, w)`` bool, False in the padding, which has no affinity
            and is related to nothing (ours). Defaults to None: all positions.

    Returns:
        Tensor: ``(B, n, n)`` float32 (float64 for double input) with ``n = h w``; rows sum to 1,
        those of the padding to 0.
    """
    with torch.autocast(query.device.type, enabled=False):
        scores = full_precision(query).flatten(2).transpose(1, 2) @ full_precision(key).flatten(2)
        if valid is None:
            return scores.softmax(dim=2)
        known = valid.flatten(1)
        lowest = torch.finfo(scores.dtype).min
        affinity = scores.masked_fill(~known.unsqueeze(1), lowest).softmax(dim=2)
        return affinity * (known.unsqueeze(1) & known.unsqueeze(2))


def gated_affinity(segmentation: Tensor, saliency: Tensor, scores: Tensor) -> Tensor:
    """Cross-task affinity: both tasks' affinities, weighed anew for each pair of positions.

    Rows need not sum to 1, as the gates of a row differ (released code).

    Args:
        segmentation (Tensor): ``(B, n, n)``.
        saliency (Tensor): ``(B, n, n)``.
        scores (Tensor): ``(B, 2, n, n)``; their softmax over the two channels are the gates.

    Returns:
        Tensor: ``(B, n, n)``, float32 (float64 for double input).
    """
    gates = full_precision(scores).softmax(dim=1)
    return gates[:, 0] * segmentation + gates[:, 1] * saliency


def propagate(affinity: Tensor, maps: Tensor, stride: int = 1) -> Tensor:
    """Maps after one step of the random walk of an affinity: ``A m``.

    Args:
        affinity (Tensor): ``(B, n, n)`` of the pooled positions.
        maps (Tensor): ``(B, C, h, w)``.
        stride (int): Of the pooling, which the result is up-sampled from bilinearly. Defaults to
            1: affinity and maps have the same positions.

    Returns:
        Tensor: ``(B, C, h, w)``, float32 (float64 for double input).

    Example:
        >>> second = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])  # all that matters is position 1
        >>> propagate(second, torch.tensor([[[[3.0, 5.0]]]])).tolist()
        [[[[5.0, 5.0]]]]
    """
    with torch.autocast(maps.device.type, enabled=False):
        small = pooled(full_precision(maps), stride)
        walked = (small.flatten(2) @ full_precision(affinity).transpose(1, 2)).view(small.shape)
    if stride == 1:
        return walked
    return F.interpolate(walked, maps.shape[2:], mode='bilinear', align_corners=False)


def saliency_loss(
    logits: Tensor,
    saliency: Tensor,
    valid: Optional[Tensor] = None,
    threshold: float = 0.5,
    align_corners: bool = False,
    mean_count: Optional[Count] = None,
) -> Tensor:
    """Binary cross-entropy of saliency at the size of the image, mean over pixels.

    Args:
        logits (Tensor): ``(B, 1, h, w)``, up-sampled bilinearly.
        saliency (Tensor): ``(B, 1, H, W)`` in [0, 1], constant.
        valid (Tensor, optional): ``(B, H, W)`` bool, pixels that count. Defaults to None: all.
        threshold (float): Saliency above which a pixel is foreground. Defaults to 0.5 (released
            code).
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`. Defaults to False.
        mean_count (Callable, optional): Takes the number of pixels to its mean over all processes.
            Defaults to None: this one alone.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no pixel counts.
    """
    logits = full_precision(logits)
    target = (saliency > threshold).to(logits.dtype)
    logits = F.interpolate(logits, target.shape[2:], mode='bilinear', align_corners=align_corners)
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
    counted = torch.ones_like(target) if valid is None else valid.unsqueeze(1).to(logits.dtype)
    count = counted.sum()
    if mean_count is not None:
        count = mean_count(count)
    return (loss * counted).sum() / count.clamp(min=1)


def pseudo_label_loss(
    logits: Tensor,
    label: Tensor,
    ignore_index: int = 255,
    align_corners: bool = False,
    mean_count: Optional[Count] = None,
) -> Tensor:
    """Cross-entropy of pseudo-labels at the size of the image, mean over pixels that have one.

    Args:
        logits (Tensor): ``(B, K, h, w)``, up-sampled bilinearly.
        label (Tensor): ``(B, H, W)`` int64.
        ignore_index (int): Label that does not count. Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`. Defaults to False.
        mean_count (Callable, optional): As in :func:`saliency_loss`.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no pixel counts.
    """
    total = resized_cross_entropy(logits, label, ignore_index, align_corners).sum()
    count = (label != ignore_index).sum().to(total.dtype)
    if mean_count is not None:
        count = mean_count(count)
    return total / count.clamp(min=1)
