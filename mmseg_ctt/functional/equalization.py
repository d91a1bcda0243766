# Copyright (c) mmseg_ctt contributors.
"""Confidence per class and the consistency that it equalises (AEL, arXiv 2110.05474)."""
from typing import Callable, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from .selection import sums_by_class

TINY = 1e-12  # guard of the released code: no weight at all gives 0


@torch.no_grad()
def class_confidence_sums(logits: Tensor, label: Tensor,
                          num_classes: int) -> Tuple[Tensor, Tensor]:
    """Probability of the true class, summed over the pixels of each class, and their number.

    ``sum / count`` is the confidence of a class in this batch; sums and counts of several
    processes may be added first.

    Args:
        logits (Tensor): ``(B, K, H, W)``, any floating dtype.
        label (Tensor): ``(B, H, W)`` int64; labels outside ``[0, K)`` do not count.
        num_classes (int): ``K``.

    Returns:
        tuple[Tensor, Tensor]: Sums and counts, ``(K,)`` float64 each.
    """
    known = label.masked_fill((label < 0) | (label >= num_classes), 0)
    probability = F.cross_entropy(logits.detach().float(), known, reduction='none').neg().exp()
    return sums_by_class(probability, label, num_classes)


def warm_momentum(updates: Tensor, momentum: float) -> Tensor:
    """Weight of the old value that makes an average the plain mean of the first updates.

    Args:
        updates (Tensor): ``(K,)`` int64, updates of each class so far.
        momentum (float): Reached after ``1 / (1 - momentum)`` updates.

    Returns:
        Tensor: ``(K,)`` float32.
    """
    return (1 - 1 / (updates + 1)).clamp(max=momentum)


@torch.no_grad()
def confidence_bank_update(bank: Tensor,
                           total: Tensor,
                           count: Tensor,
                           momentum: Union[float, Tensor] = 0.999,
                           skip_absent: bool = True) -> Tensor:
    """``bank <- momentum * bank + (1 - momentum) * total / count``.

    Args:
        bank (Tensor): ``(K,)`` float, confidence of each class so far.
        total (Tensor): ``(K,)`` float, from :func:`class_confidence_sums`.
        count (Tensor): ``(K,)`` float, from there.
        momentum (float | Tensor): Weight of the old value, also ``(K,)``. Defaults to 0.999.
        skip_absent (bool): Classes without a pixel keep their value, because nothing was learnt
            about them; False counts them as 0, so that rare classes fall towards 0 whatever the
            network knows (released code). Defaults to True.

    Returns:
        Tensor: ``(K,)``, the new bank.
    """
    confidence = total / count.clamp(min=1)
    updated = momentum * bank + (1 - momentum) * confidence.to(bank)
    return torch.where(count > 0, updated, bank) if skip_absent else updated


def equalization_rate(class_confidence: Tensor, beta: float = 1.0) -> Tensor:
    """Share of a class's pixels that are kept, ``((1 - conf_c) / max_c (1 - conf_c)) ** beta``.

    1 for the least confident class, less for the others. Equal to 1 for all where every class is
    fully confident.

    Args:
        class_confidence (Tensor): ``(K,)`` in [0, 1].
        beta (float): Defaults to 1 (released code).

    Returns:
        Tensor: ``(K,)`` in [0, 1].
    """
    lack = 1 - class_confidence
    most = lack.max()
    return torch.where(most > 0, lack / most.clamp(min=TINY), 1.0)**beta


@torch.no_grad()
def equalized_sample(label: Tensor,
                     class_confidence: Tensor,
                     noise: Tensor,
                     beta: float = 1.0) -> Tensor:
    """Keep every pixel with the rate of its class, more of the classes that do badly.

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


def equalized_consistency(logits: Tensor,
                          pseudo_label: Tensor,
                          confidence: Tensor,
                          keep: Optional[Tensor] = None,
                          gamma: float = 2.0,
                          ignore_index: int = 255,
                          mean_weight: Optional[Callable[[Tensor], Tensor]] = None) -> Tensor:
    """Cross-entropy to pseudo-labels, weighted by ``w = keep * confidence ** gamma``.

    ``sum_q w_q CE_q / sum_q w_q`` (AEL, dynamic re-weighting). As in the released code, ignored
    pixels add nothing to the first sum and stay in the second.

    Args:
        logits (Tensor): ``(B, K, H, W)`` of the student.
        pseudo_label (Tensor): ``(B, H, W)`` int64.
        confidence (Tensor): ``(B, H, W)`` in [0, 1], the teacher's.
        keep (Tensor, optional): ``(B, H, W)`` bool, from :func:`equalized_sample`.
            Defaults to None: all.
        gamma (float): Defaults to 2 (released code); 0 weighs all pixels alike.
        ignore_index (int): Label that adds nothing. Defaults to 255.
        mean_weight (Callable, optional): Takes the sum of the weights to its mean over all
            processes. The mean of the processes' losses is then that of one process with all
            their pixels. Defaults to None: one process.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no weight is left.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    weight = confidence.detach().to(logits.dtype)**gamma
    if keep is not None:
        weight = weight * keep
    total = weight.sum()
    if mean_weight is not None:
        total = mean_weight(total)
    with torch.autocast(logits.device.type, enabled=False):
        values = F.cross_entropy(logits, pseudo_label, ignore_index=ignore_index,
                                 reduction='none')
    return (weight * values).sum() / (total + TINY)
