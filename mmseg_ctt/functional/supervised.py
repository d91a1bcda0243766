# Copyright (c) mmseg_ctt contributors.
"""Cross-entropies of labelled pixels."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import full_precision
from .probability import two_class_logits
from .resized_cross_entropy import resized_cross_entropy


def cross_entropy(
    logits: Tensor,
    label: Tensor,
    ignore_index: int = 255,
    align_corners: bool = False,
    class_weight: Optional[Tensor] = None,
    pixel_weight: Optional[Tensor] = None,
) -> Tensor:
    """Softmax cross-entropy, mean over the pixels that have a label (CTT Eq 1-2).

    With weights it is the weighted mean, ``sum(w * ce) / sum(w)`` over the pixels that have a
    label; ``w`` is the product of both weights.

    Args:
        logits (Tensor): ``([P,] B, K, h, w)``, up-sampled to the label where it is larger. A single
            channel is the logit of class 1 against class 0 (sigmoid). A leading dimension holds
            problems of the same labels.
        label (Tensor): ``(B, H, W)`` int64.
        ignore_index (int): Label that does not count; negative labels do not either.
            Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.
        class_weight (Tensor, optional): ``(K,)``, not negative, of each pixel's class. Defaults
            to None: 1.
        pixel_weight (Tensor, optional): ``(B, H, W)``, not negative. Receives no gradient.
            Defaults to None: 1.

    Returns:
        Tensor: Scalar or ``(P,)``, float32 (float64 for double input); 0 with a graph if all is
        ignored.
    """
    labeled = _labeled(label, ignore_index)
    if class_weight is None and pixel_weight is None:
        return _sums(logits, label, ignore_index, align_corners) / labeled.sum().clamp(min=1)
    weight = labeled.float()
    if class_weight is not None:
        weight = weight * class_weight.float()[label.masked_fill(~labeled, 0)]
    if pixel_weight is not None:
        weight = weight * pixel_weight.detach().float()
    return _over(_sums(logits, label, ignore_index, align_corners, weight), weight)


def _sums(
    logits: Tensor,
    label: Tensor,
    ignore_index: int,
    align_corners: bool,
    weight: Optional[Tensor] = None,
) -> Tensor:
    """Cross-entropy summed over all pixels, a scalar or ``(P,)``."""
    problems = logits.shape[:-4]
    logits = two_class_logits(logits.flatten(0, -4))
    if problems:
        label = label.repeat(*problems, 1, 1)
        weight = None if weight is None else weight.repeat(*problems, 1, 1)
    sums = resized_cross_entropy(logits, label, ignore_index, align_corners, weight)
    return sums.view(*problems, -1).sum(-1) if problems else sums.sum()


def soft_cross_entropy(
    logits: Tensor,
    probability: Tensor,
    label: Tensor,
    ignore_index: int = 255,
    align_corners: bool = False,
    pixel_weight: Optional[Tensor] = None,
) -> Tensor:
    """Cross-entropy with class probabilities, ``-sum_k p_k log softmax_k``, mean over pixels.

    Args:
        logits (Tensor): ``(B, K, h, w)``, up-sampled to the label where it is larger. A single
            channel is the logit of class 1 against class 0 (sigmoid).
        probability (Tensor): ``(B, K, H, W)``, target of each pixel. Receives no gradient.
        label (Tensor): ``(B, H, W)`` int64; says which pixels count.
        ignore_index (int): Label that does not count; negative labels do not either.
            Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.
        pixel_weight (Tensor, optional): ``(B, H, W)``, not negative; the mean is then weighted.
            Receives no gradient. Defaults to None: 1.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if all is ignored.
    """
    logits = two_class_logits(full_precision(logits))
    if logits.shape[2:] != label.shape[1:]:
        size = label.shape[1:]
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    weight = _labeled(label, ignore_index).to(logits.dtype)
    if pixel_weight is not None:
        weight = weight * pixel_weight.detach().to(logits.dtype)
    with torch.autocast(logits.device.type, enabled=False):
        target = probability.detach().to(logits.dtype) * weight.unsqueeze(1)
        return _over(-(target * logits.log_softmax(1)).sum(), weight)


def _over(total: Tensor, weight: Tensor) -> Tensor:
    """Sum divided by the sum of the weights, which may be 0."""
    return total / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def ohem_cross_entropy(
    logits: Tensor,
    label: Tensor,
    threshold: float = 0.7,
    min_kept: int = 100000,
    ignore_index: int = 255,
    align_corners: bool = False,
) -> Tensor:
    """Cross-entropy with online hard example mining, mean over the hard pixels.

    A pixel is hard if the probability of its class is at most ``threshold``, or is among the
    ``min_kept`` lowest of the batch. All labelled pixels count where they are fewer than
    ``min_kept``, and with ``min_kept=0`` (``ProbOhemCrossEntropy2d`` of CPS and UniMatch). mmseg's
    ``OHEMPixelSampler`` counts ``min_kept`` per image and divides by all pixels.

    Args:
        logits (Tensor): ``(B, K, h, w)``, up-sampled to the label where it is larger.
        label (Tensor): ``(B, H, W)`` int64.
        threshold (float): Probability up to which a pixel is hard. Defaults to 0.7.
        min_kept (int): Hard pixels of a batch, at the least. Defaults to 100000.
        ignore_index (int): Label that does not count; negative labels do not either.
            Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if all is ignored.
    """
    labeled = _labeled(label, ignore_index)
    if min_kept > 0 and label.numel():
        probability = _label_probability(logits, label.masked_fill(~labeled, 0), align_corners)
        probability = probability.masked_fill(~labeled, 1.0)
        lowest = probability.flatten().kthvalue(min(min_kept, label.numel())).values
        limit = torch.where(labeled.sum() < min_kept, torch.inf, lowest.clamp(min=threshold))
        label = label.masked_fill(probability > limit, ignore_index)
    return cross_entropy(logits, label, ignore_index, align_corners)


def _labeled(label: Tensor, ignore_index: int) -> Tensor:
    return (label != ignore_index) & (label >= 0)


@torch.no_grad()
def _label_probability(logits: Tensor, label: Tensor, align_corners: bool) -> Tensor:
    """``(B, H, W)`` probability of every pixel's label."""
    logits = logits.detach()
    logits = full_precision(logits)
    if logits.shape[2:] != label.shape[1:]:
        size = label.shape[1:]
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    with torch.autocast(logits.device.type, enabled=False):
        return F.cross_entropy(logits, label, reduction='none').neg().exp()
