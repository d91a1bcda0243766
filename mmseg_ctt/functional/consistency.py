# Copyright (c) mmseg_ctt contributors.
"""Consistency of predictions with pseudo-labels: weighted sums of distances.

A loss is ``sum_q weight_q d(logits_q, target_q) / normalizer``. ``d`` is chosen by ``kind``, see
:func:`pixel_consistency`; :func:`confidence_weight` gives weights. The normalizer is an argument,
so that it can be averaged over processes before.

A leading dimension ``P`` holds problems of their own, such as the pairs of CTT, in one call.
"""

from typing import Optional, Union

import torch
from torch import Tensor

from .distances import check_distance, pixel_consistency
from .resized_cross_entropy import resized_cross_entropy


def consistency_sums(
    logits: Tensor,
    target: Tensor,
    kind: str = 'hard',
    weight: Optional[Tensor] = None,
    class_reduction: Optional[str] = None,
    ignore_index: int = 255,
    align_corners: bool = False,
) -> Tensor:
    """Weighted sum over each image's pixels of :func:`pixel_consistency`.

    ``hard`` keeps nothing at the size of the label, see :func:`resized_cross_entropy`.

    Args:
        logits (Tensor): ``([P,] B, K, h, w)``.
        target (Tensor): ``([P,] B, H, W)`` or ``([P,] B, K, H, W)``.
        kind (str): As in :func:`pixel_consistency`.
        weight (Tensor, optional): ``([P,] B, H, W)``, constant, bool or float. Defaults to None: 1.
        class_reduction (str, optional): As in :func:`pixel_consistency`.
        ignore_index (int): Label that adds nothing. Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: ``([P,] B)`` float32 (float64 for double input).

    Raises:
        ValueError: If the kind or the reduction is unknown.
    """
    check_distance(kind, class_reduction)
    images = logits.shape[:-3]
    logits, target = logits.flatten(0, -4), target.flatten(0, -3 if kind == 'hard' else -4)
    weight = None if weight is None else weight.flatten(0, -3)
    if kind == 'hard':
        if weight is not None and weight.dtype == torch.bool:
            target, weight = target.masked_fill(~weight, ignore_index), None
        sums = resized_cross_entropy(logits, target, ignore_index, align_corners, weight)
    else:
        values = pixel_consistency(
            logits, target, kind, class_reduction, ignore_index, align_corners
        )
        values = values if weight is None else values * weight.detach()
        sums = values.sum((1, 2))
    return sums.view(images)


def consistency_loss(
    logits: Tensor,
    target: Tensor,
    kind: str = 'hard',
    weight: Optional[Tensor] = None,
    normalizer: Union[None, float, Tensor] = None,
    class_reduction: Optional[str] = None,
    ignore_index: int = 255,
    align_corners: bool = False,
) -> Tensor:
    """Consistency with pseudo-labels, ``sum_q weight_q d(logits_q, target_q) / normalizer``.

    Args:
        logits (Tensor): ``([P,] B, K, h, w)``. Receives the gradient.
        target (Tensor): ``([P,] B, H, W)`` int64 or ``([P,] B, K, H, W)``, as in
            :func:`pixel_consistency`.
        kind (str): As in :func:`pixel_consistency`.
        weight (Tensor, optional): ``([P,] B, H, W)``, constant, bool or float. Defaults to None: 1.
        normalizer (float | Tensor, optional): Scalar or ``(P,)``, such as the number of valid
            pixels averaged over processes; 0 gives 0. Defaults to None: the number of pixels.
        class_reduction (str, optional): As in :func:`pixel_consistency`.
        ignore_index (int): Label that adds nothing. Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: Scalar, or ``(P,)``; float32 (float64 for double input); 0 with a graph if no pixel
        has a weight.

    Raises:
        ValueError: If the kind or the reduction is unknown.
    """
    sums = consistency_sums(
        logits, target, kind, weight, class_reduction, ignore_index, align_corners
    )
    if normalizer is None:
        normalizer = sums.shape[-1] * target.shape[-2:].numel()
    if not isinstance(normalizer, Tensor):
        return sums.sum(-1) / (normalizer or 1)
    return sums.sum(-1) / torch.where(normalizer > 0, normalizer, 1).to(sums.dtype)


def confident_fraction_cross_entropy(
    logits: Tensor,
    pseudo_label: Tensor,
    confidence: Tensor,
    threshold: float = 0.968,
    ignore_index: int = 255,
    fraction: Union[None, float, Tensor] = None,
    align_corners: bool = False,
) -> Tensor:
    """Cross-entropy to pseudo-labels, weighted by the ratio of confident pixels.

    ``w * mean_q CE_q`` with ``w = mean_q [confidence_q >= threshold]``: CTT Eq 5 with the scalar
    weight of the released code. Ignored pixels add 0 but stay in the denominator.

    Args:
        logits (Tensor): ``([P,] B, K, h, w)``, up-sampled to the label where it is larger. A
            leading dimension holds problems of their own.
        pseudo_label (Tensor): ``([P,] B, H, W)`` int64.
        confidence (Tensor): ``([P,] B, H, W)``, in [0, 1].
        threshold (float): Confidence from which a pixel counts as confident; 0 switches the
            weight off (the paper's text). Defaults to 0.968.
        ignore_index (int): Label that adds nothing. Defaults to 255.
        fraction (float | Tensor, optional): The weight itself ``([P])``, where it was averaged over
            several processes. Defaults to None: computed from ``confidence``.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: Scalar, or ``(P,)``; float32 (float64 for double input).
    """
    if fraction is None:
        fraction = (confidence >= threshold).float().mean((-3, -2, -1))
    sums = consistency_sums(
        logits, pseudo_label, ignore_index=ignore_index, align_corners=align_corners
    )
    return fraction * sums.sum(-1) / pseudo_label.shape[-3:].numel()


def weighted_cross_entropy(
    logits: Tensor, label: Tensor, weight: Tensor, ignore_index: int = 255
) -> Tensor:
    """Cross-entropy times a weight of each pixel, mean over *all* pixels.

    Args:
        logits (Tensor): ``(B, K, H, W)``.
        label (Tensor): ``(B, H, W)`` int64.
        weight (Tensor): ``(B, H, W)``, constant.
        ignore_index (int): Label that adds nothing and stays in the mean. Defaults to 255.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if all weights are 0.
    """
    value = pixel_consistency(logits, label, ignore_index=ignore_index)
    return (value * weight.detach().to(value.dtype)).mean()
