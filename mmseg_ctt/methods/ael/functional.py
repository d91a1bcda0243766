# Copyright (c) mmseg_ctt contributors.
"""Confidence per class, equalised consistency and adaptive mixing (AEL, arXiv 2110.05474)."""

from typing import Callable, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.connected_components import connected_components
from ...functional.precision import full_precision
from ...functional.resized_cross_entropy import resized_cross_entropy
from ...functional.selection import sums_by_class

TINY = 1e-12  # guard of the released code: no weight at all gives 0


@torch.no_grad()
def class_confidence_sums(
    logits: Tensor, label: Tensor, num_classes: int, align_corners: bool = False
) -> Tuple[Tensor, Tensor]:
    """Confidence of each class: sum of the true class's probability, and number of pixels.

    ``sum / count`` is the confidence of a class in this batch; sums and counts of several
    processes may be added first.

    Args:
        logits (Tensor): ``(B, K, h, w)``, any floating dtype; up-sampled bilinearly where the
            label is larger.
        label (Tensor): ``(B, H, W)`` int64; labels outside ``[0, K)`` do not count.
        num_classes (int): ``K``.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        tuple[Tensor, Tensor]: Sums and counts, ``(K,)`` float64 each.
    """
    index, size = label.clamp(0, num_classes - 1).unsqueeze(1), label.shape[1:]
    logits = logits.float()
    if logits.shape[2:] != size:
        # channels last, in which bilinear interpolation is faster
        logits = logits.contiguous(memory_format=torch.channels_last)
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    score = (logits - logits.amax(1, keepdim=True)).exp_()
    probability = score.gather(1, index).squeeze(1) / score.sum(1)
    return sums_by_class(probability, label, num_classes)


def equalization_rate(class_confidence: Tensor, beta: float = 1.0) -> Tensor:
    """Rate at which a class's pixels are kept, ``((1 - conf_c) / max_c (1 - conf_c)) ** beta``.

    1 for the least confident class, less for the others. Equal to 1 for all where every class is
    fully confident.

    Args:
        class_confidence (Tensor): ``(K,)`` in [0, 1].
        beta (float): Defaults to 1 (released code).

    Returns:
        Tensor: ``(K,)`` in [0, 1].
    """
    gap = 1 - class_confidence
    largest = gap.max()
    return torch.where(largest > 0, gap / largest.clamp(min=TINY), 1.0) ** beta


@torch.no_grad()
def equalized_sample(
    label: Tensor, class_confidence: Tensor, noise: Tensor, beta: float = 1.0
) -> Tensor:
    """Equalised sampling: a pixel is kept at the rate of its class, higher where confidence is low.

    Args:
        label (Tensor): ``(B, H, W)`` int64 in ``[0, K)``: the pseudo-label (paper), or the class
            that the student predicts (released code).
        class_confidence (Tensor): ``(K,)``.
        noise (Tensor): ``(B, H, W)`` uniform in [0, 1). The released code draws a map per class
            that all images share, ``noise[c]`` at a pixel of class ``c``.
        beta (float): As in :func:`equalization_rate`.

    Returns:
        Tensor: ``(B, H, W)`` bool.
    """
    return noise > 1 - equalization_rate(class_confidence, beta)[label]


def equalized_consistency(
    logits: Tensor,
    pseudo_label: Tensor,
    confidence: Tensor,
    keep: Optional[Tensor] = None,
    gamma: float = 2.0,
    ignore_index: int = 255,
    mean_weight: Optional[Callable[[Tensor], Tensor]] = None,
    align_corners: bool = False,
) -> Tensor:
    """Re-weighted cross-entropy to pseudo-labels, with ``w = keep * confidence ** gamma``.

    ``sum_q w_q CE_q / sum_q w_q`` (AEL, dynamic re-weighting). As in the released code, ignored
    pixels add nothing to the first sum and stay in the second. Nothing is kept at the size of the
    label, see :func:`resized_cross_entropy`.

    Args:
        logits (Tensor): ``(B, K, h, w)`` of the student; up-sampled bilinearly where the label is
            larger.
        pseudo_label (Tensor): ``(B, H, W)`` int64.
        confidence (Tensor): ``(B, H, W)`` in [0, 1], the teacher's.
        keep (Tensor, optional): ``(B, H, W)`` bool, from :func:`equalized_sample`.
            Defaults to None: all.
        gamma (float): Defaults to 2 (released code); 0 weighs all pixels alike.
        ignore_index (int): Label that adds nothing. Defaults to 255.
        mean_weight (Callable, optional): Takes the sum of the weights to its mean over all
            processes. The mean of the processes' losses is then that of one process with all
            their pixels. Defaults to None: one process.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no weight is left.
    """
    logits = full_precision(logits)
    weight = confidence.detach().to(logits.dtype) ** gamma
    if keep is not None:
        weight = weight * keep
    total = weight.sum()
    if mean_weight is not None:
        total = mean_weight(total)
    sums = resized_cross_entropy(logits, pseudo_label, ignore_index, align_corners, weight)
    return sums.sum() / (total + TINY)


@torch.no_grad()
def sample_index(weight: Tensor, uniform: Tensor) -> Tensor:
    """Index drawn with a probability proportional to its weight.

    Args:
        weight (Tensor): ``(..., N)``, not negative, any dtype; rows of zeros give the last index.
        uniform (Tensor): ``(...)`` in [0, 1).

    Returns:
        Tensor: ``(...)`` int64 in ``[0, N)``.
    """
    cumulative = weight.double().cumsum(-1)
    drawn = uniform.double() * cumulative[..., -1]
    return (cumulative <= drawn.unsqueeze(-1)).sum(-1).clamp(max=weight.shape[-1] - 1)


@torch.no_grad()
def class_draw_probability(
    class_confidence: Tensor, power: float = 1.0, allowed: Optional[Tensor] = None
) -> Tensor:
    """``softmax_c((1 - conf_c) ** power)`` over the allowed classes.

    Args:
        class_confidence (Tensor): ``(K,)`` in [0, 1].
        power (float): 1 for CutMix, 1/2 for Copy-Paste (released code). Defaults to 1.
        allowed (Tensor, optional): ``(K,)`` bool. Defaults to None: all.

    Returns:
        Tensor: ``(K,)`` float32; zeros if no class is allowed.
    """
    score = (1 - class_confidence.float()).clamp(min=0) ** power
    if allowed is None:
        return score.softmax(0)
    return torch.where(allowed, score.masked_fill(~allowed, -torch.inf).softmax(0), 0)


@torch.no_grad()
def tail_classes(pixels: Tensor, ratio: float = 1.0) -> Tensor:
    """Tail classes: at most ``ratio`` times the mean number of labelled pixels of a class.

    The released code has a fixed list instead, all but the Cityscapes classes road, sidewalk,
    building, vegetation and sky, on every data set.

    Args:
        pixels (Tensor): ``(K,)``, pixels of each class; nothing counted makes all tail classes.
        ratio (float): Defaults to 1.

    Returns:
        Tensor: ``(K,)`` bool.
    """
    pixels = pixels.double()
    return pixels * pixels.numel() <= ratio * pixels.sum()


@torch.no_grad()
def class_mask(label: Tensor, chosen: Tensor) -> Tensor:
    """Mask of each image's chosen classes.

    Args:
        label (Tensor): ``(B, H, W)`` int64; labels outside ``[0, K)`` are never chosen.
        chosen (Tensor): ``(B, K)`` bool.

    Returns:
        Tensor: ``(B, H, W)`` bool.
    """
    num_classes = chosen.shape[1]
    label = torch.where((label >= 0) & (label < num_classes), label, num_classes)
    table = torch.cat([chosen, torch.zeros_like(chosen[:, :1])], dim=1)
    return table.gather(1, label.flatten(1)).view_as(label)


@torch.no_grad()
def choose_partner(area: Tensor, label: Tensor, min_area: float, uniform: Tensor) -> Tensor:
    """Partner of each image: another image of the batch, with the image's target class if possible.

    Args:
        area (Tensor): ``(B, K)``, fraction of each image that each class covers.
        label (Tensor): ``(B,)`` int64, target class of each image.
        min_area (float): Fraction from which an image has a class.
        uniform (Tensor): ``(B,)`` in [0, 1).

    Returns:
        Tensor: ``(B,)`` int64; the image itself only where it is alone.
    """
    other = ~torch.eye(len(label), dtype=torch.bool, device=label.device)
    suitable = (area.t()[label] >= min_area) & other  # row i: images with the class of image i
    return sample_index(torch.where(suitable.any(1, keepdim=True), suitable, other), uniform)


@torch.no_grad()
def object_box(
    mask: Tensor, size: Tuple[int, int], min_area: float, uniform: Tensor
) -> Tuple[Tensor, Tensor]:
    """Bounding box of a connected component of each mask, any of those that are large enough.

    Args:
        mask (Tensor): ``(B, h, w)`` bool.
        size (tuple[int, int]): ``(H, W)`` of the box's own map; its pixels are scaled to it.
        min_area (float): Fraction of the image that a component must exceed.
        uniform (Tensor): ``(B,)`` in [0, 1), chooses the component.

    Returns:
        tuple[Tensor, Tensor]: Box ``(B, H, W)`` bool, and whether a component was large enough,
        ``(B,)`` bool; the box is empty where none was.
    """
    root = connected_components(mask).flatten(1)
    pixels = root.shape[1]
    area = torch.zeros(len(root), pixels + 1, device=root.device)
    area.scatter_add_(1, torch.where(root < 0, pixels, root), torch.ones_like(area[:, :-1]))
    large = area[:, :-1] > min_area * pixels
    chosen = sample_index(large, uniform)
    found = large.any(1)
    component = ((root == chosen.unsqueeze(1)) & found.unsqueeze(1)).view_as(mask)
    rows = _stretch(component.any(2), size[0])
    columns = _stretch(component.any(1), size[1])
    return rows.unsqueeze(2) & columns.unsqueeze(1), found


def _stretch(cells: Tensor, length: int) -> Tensor:
    """``(B, n)`` bool to ``(B, length)``: True from the first to the last True cell, scaled."""
    covered = (cells.cumsum(1) > 0) & (cells.flip(1).cumsum(1).flip(1) > 0)
    position = torch.arange(length, device=cells.device) * cells.shape[1] // length
    return covered[:, position]
