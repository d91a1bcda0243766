# Copyright (c) mmseg_ctt contributors.
"""Pairs of labelled and unlabelled images, mixed and decoupled (GuidedMix-Net, 2106.15064)."""

from typing import Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.distances import pixel_consistency
from ...functional.precision import full_precision
from ...functional.pseudo_label import pseudo_label

AGREEMENTS = ('ce', 'mse', 'focal')


@torch.no_grad()
def most_similar(query: Tensor, pool: Tensor) -> Tensor:
    """Nearest neighbour by cosine similarity: an index into the pool for each query.

    Args:
        query (Tensor): ``(B, D)``, one embedding per unlabelled image.
        pool (Tensor): ``(P, D)``, one per labelled image, ``P`` at least 1.

    Returns:
        Tensor: ``(B,)`` int64.
    """
    with torch.autocast(query.device.type, enabled=False):
        similarity = F.normalize(query.float(), dim=1) @ F.normalize(pool.float(), dim=1).t()
    return similarity.argmax(dim=1)


@torch.no_grad()
def classes_present(label: Tensor, num_classes: int) -> Tensor:
    """Image-level labels: the classes that each label map contains.

    Args:
        label (Tensor): ``(B, H, W)`` int64; labels outside ``[0, K)`` are no class.
        num_classes (int): ``K``.

    Returns:
        Tensor: ``(B, K)`` float32 of 0 and 1.
    """
    label = label.flatten(1)
    label = torch.where((label >= 0) & (label < num_classes), label, num_classes)
    present = torch.zeros(len(label), num_classes + 1, device=label.device)
    return present.scatter_(1, label, torch.ones_like(label, dtype=present.dtype))[:, :-1]


def interpolate_pair(labeled: Tensor, unlabeled: Tensor, ratio: Tensor) -> Tensor:
    """Mixup of pairs, ``ratio * labeled + (1 - ratio) * unlabeled``, images or features.

    Args:
        labeled (Tensor): ``(B, C, H, W)``, the partner of each unlabelled image.
        unlabeled (Tensor): ``(B, C, H, W)``.
        ratio (Tensor): ``(B,)``, lambda of each pair.

    Returns:
        Tensor: ``(B, C, H, W)``.
    """
    ratio = ratio.view(-1, 1, 1, 1).to(labeled.dtype)
    return unlabeled + ratio * (labeled - unlabeled)


def decouple(mixed: Tensor, labeled: Tensor, ratio: Tensor) -> Tensor:
    """Unlabelled part of a mixed prediction, ``mixed - ratio * labeled``.

    Args:
        mixed (Tensor): ``(B, K, h, w)`` logits of the mixed images.
        labeled (Tensor): ``(B, K, h, w)`` logits of their labelled parts.
        ratio (Tensor): ``(B,)``, lambda of each pair.

    Returns:
        Tensor: ``(B, K, h, w)`` float32 (float64 for double input).
    """
    dtype = torch.float64 if mixed.dtype == torch.float64 else torch.float32
    ratio = ratio.view(-1, 1, 1, 1).to(dtype)
    return mixed.to(dtype) - ratio * labeled.to(dtype)


def sigmoid_focal(logits: Tensor, label: Tensor, gamma: float = 0.5, alpha: float = 0.5) -> Tensor:
    """One-against-all focal loss to hard labels, of every pixel.

    The mean over classes of ``a_t (1 - p_t) ** gamma * -log p_t``, with ``p_t`` the probability of
    the right answer and ``a_t`` alpha for the label's class, ``1 - alpha`` for the others. It is
    the value of the released code on a GPU; on a CPU that code returns NaN.

    Args:
        logits (Tensor): ``(B, K, h, w)``.
        label (Tensor): ``(B, h, w)`` int64 in ``[0, K)``.
        gamma (float): Defaults to 0.5 (released code).
        alpha (float): Defaults to 0.5 (released code).

    Returns:
        Tensor: ``(B, h, w)`` float32 (float64 for double input).
    """
    logits = full_precision(logits)
    hit = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, label.unsqueeze(1), True)
    right = torch.where(hit, logits, -logits)  # logit of the right answer
    # logarithms throughout: a power below 1 has no slope at 0
    value = (gamma * F.logsigmoid(-right)).exp() * F.softplus(-right)
    return torch.where(hit, alpha * value, (1 - alpha) * value).mean(dim=1)


def soft_squared_error(logits: Tensor, target: Tensor) -> Tensor:
    """Squared distance of two softmax outputs, of every pixel, mean over classes.

    Args:
        logits (Tensor): ``(B, K, h, w)``.
        target (Tensor): ``(B, K, h, w)`` logits, detached.

    Returns:
        Tensor: ``(B, h, w)`` float32 (float64 for double input).
    """
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    return pixel_consistency(logits, target.detach().to(dtype).softmax(1), 'squared')


def agreement(
    logits: Tensor,
    target: Tensor,
    kind: str = 'ce',
    threshold: Union[float, Tensor] = 0.0,
    valid: Optional[Tensor] = None,
) -> Tuple[Tensor, Tensor]:
    """Consistency of a decoupled prediction with the network's own, mean over all pixels.

    Args:
        logits (Tensor): ``(B, K, h, w)``, decoupled.
        target (Tensor): ``(B, K, h, w)`` logits of the unlabelled images; gives no gradient.
        kind (str): ``'ce'``, cross-entropy, or ``'focal'``, :func:`sigmoid_focal`, to hard
            labels; ``'mse'``, :func:`soft_squared_error`. Defaults to 'ce'.
        threshold (float | Tensor): Confidence of the target below which a pixel adds nothing, also
            ``(B, h, w)``. Defaults to 0.
        valid (Tensor, optional): ``(B, h, w)`` bool; others add nothing. Defaults to None: all.

    Returns:
        tuple[Tensor, Tensor]: Loss, and the ratio of pixels that count.
    """
    target = target.detach()
    label, confidence = pseudo_label(target)
    if kind == 'focal':
        values = sigmoid_focal(logits, label)
    elif kind == 'mse':
        values = soft_squared_error(logits, target)
    else:
        values = pixel_consistency(logits, label)
    kept = confidence >= threshold
    kept = (kept if valid is None else kept & valid).float()
    return (values * kept).mean(), kept.mean()
