# Copyright (c) mmseg_ctt contributors.
"""Distances between a prediction and a pseudo-label, of every pixel."""

from typing import Callable, Dict, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import full_precision
from .probability import complement

TINY = 1e-37  # smallest probability whose logarithm is taken, about the smallest normal float32
MIDDLE_EPS = 1e-5  # added to the target in 'middle_kl' (released code of CCT)
BINARY_EPS = 1e-6  # inside the logarithms of 'binary' (released code of CutMix-Seg)


def _squared(logits: Tensor, target: Tensor) -> Tensor:
    return (logits.softmax(1) - target).square()


def _soft(logits: Tensor, target: Tensor) -> Tensor:
    return -target * logits.log_softmax(1)


def _kl(logits: Tensor, target: Tensor) -> Tensor:
    return torch.xlogy(target, target) - target * logits.log_softmax(1)


def _reverse_kl(logits: Tensor, target: Tensor) -> Tensor:
    log_probability = logits.log_softmax(1)
    return log_probability.exp() * (log_probability - target.clamp(min=TINY).log())


def _middle_kl(logits: Tensor, target: Tensor) -> Tensor:
    log_probability = logits.log_softmax(1)
    middle = (log_probability.exp() + target) / 2
    log_mean = (log_probability + (target + MIDDLE_EPS).log()) / 2
    return middle * (middle.clamp(min=TINY).log() - log_mean)


def _binary(logits: Tensor, target: Tensor) -> Tensor:
    probability = logits.softmax(1)
    right = target * (probability + BINARY_EPS).log()
    return -right - (1 - target) * (complement(probability) + BINARY_EPS).log()


def _logit_squared(logits: Tensor, target: Tensor) -> Tensor:
    return (logits - target).square()


def _logit_smooth_l1(logits: Tensor, target: Tensor) -> Tensor:
    return F.smooth_l1_loss(logits, target, reduction='none')


# terms of the classes and how they are reduced by default, by kind
TERMS: Dict[str, Tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    'soft': (_soft, 'sum'),
    'kl': (_kl, 'sum'),
    'reverse_kl': (_reverse_kl, 'sum'),
    'middle_kl': (_middle_kl, 'sum'),
    'squared': (_squared, 'mean'),
    'binary': (_binary, 'sum'),
    'logit_squared': (_logit_squared, 'root'),
    'logit_smooth_l1': (_logit_smooth_l1, 'root'),
}
KINDS = ('hard', *TERMS)
CLASS_REDUCTIONS = ('sum', 'mean', 'root')


def pixel_consistency(
    logits: Tensor,
    target: Tensor,
    kind: str = 'hard',
    class_reduction: Optional[str] = None,
    ignore_index: int = 255,
    align_corners: bool = False,
) -> Tensor:
    """Distance of a prediction from its target, of every pixel.

    - ``hard``: cross-entropy to a label
    - ``soft``: cross-entropy to probabilities
    - ``kl``: the same less the entropy of the target, Kullback-Leibler divergence
    - ``reverse_kl``: the divergence in the other order, ``sum p log(p / target)`` with ``p`` the
      prediction (released code of S4L)
    - ``middle_kl``: mean of the divergences of the mean of both probabilities from each (the
      Jensen-Shannon loss of CCT's released code; the usual one has the other order)
    - ``squared``: squared difference of probabilities (mean teacher: mean over classes; CutMix-Seg:
      sum)
    - ``binary``: binary cross-entropies of probabilities (CutMix-Seg)
    - ``logit_squared``, ``logit_smooth_l1``: of logits, sum over classes over the root of their
      number (CutMix-Seg)

    Args:
        logits (Tensor): ``(B, K, h, w)``, up-sampled bilinearly to the target where sizes differ.
            Receives the gradient.
        target (Tensor): ``(B, H, W)`` int64 for ``hard``; ``(B, K, H, W)`` logits for
            ``logit_...``, else probabilities. Constant.
        kind (str): One of the above. Defaults to 'hard'.
        class_reduction (str, optional): ``'sum'``, ``'mean'``, or ``'root'``, the sum over
            ``sqrt(K)``. Defaults to None: ``'mean'`` for ``squared``, ``'root'`` for
            ``logit_...``, else ``'sum'``.
        ignore_index (int): Label of which the distance is 0. Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: ``(B, H, W)`` float32 (float64 for double input).

    Raises:
        ValueError: If the kind or the reduction is unknown.
    """
    check_distance(kind, class_reduction)
    logits = full_precision(logits)
    size = target.shape[-2:]
    if logits.shape[-2:] != size:
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    with torch.autocast(logits.device.type, enabled=False):
        if kind == 'hard':
            return F.cross_entropy(logits, target, ignore_index=ignore_index, reduction='none')
        function, default = TERMS[kind]
        terms = function(logits, target.detach().to(logits.dtype))
        reduction = class_reduction or default
        if reduction == 'mean':
            return terms.mean(dim=1)
        total = terms.sum(dim=1)
        return total / terms.shape[1] ** 0.5 if reduction == 'root' else total


def check_distance(kind: str, class_reduction: Optional[str]) -> None:
    """Check the names of a distance.

    Args:
        kind (str): As in :func:`pixel_consistency`.
        class_reduction (str, optional): As in :func:`pixel_consistency`.

    Raises:
        ValueError: If the kind or the reduction is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f'kind must be one of {KINDS}, got {kind!r}')
    if class_reduction is not None and class_reduction not in CLASS_REDUCTIONS:
        raise ValueError(
            f'class_reduction must be one of {CLASS_REDUCTIONS}, got {class_reduction!r}'
        )
