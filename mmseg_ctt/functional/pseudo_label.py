# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .resized_cross_entropy import resized_cross_entropy


@torch.no_grad()
def pseudo_label(
    logits: Tensor, size: Optional[Tuple[int, int]] = None, align_corners: bool = False
) -> Tuple[Tensor, Tensor]:
    """Label and confidence of every pixel, without building the softmax tensor.

    The largest probability is ``1 / sum_c exp(logit_c - logit_max)``, so that one reduction and
    one in-place exponential are enough (CTT Eq 4 and the confidence of Eq 7).

    Args:
        logits (Tensor): ``(B, K, h, w)``, any floating dtype.
        size (tuple[int, int], optional): ``(H, W)`` to up-sample the logits to, bilinearly,
            before the maximum is taken. Defaults to None: ``(h, w)``.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        tuple[Tensor, Tensor]: Label ``(B, H, W)`` int64 and confidence ``(B, H, W)`` float32.
    """
    logits = logits.detach().float()
    if size is not None and tuple(size) != tuple(logits.shape[2:]):
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    top, label = logits.max(dim=1, keepdim=True)
    confidence = (logits - top).exp_().sum(dim=1).reciprocal_()
    return label.squeeze(1), confidence


def cross_entropy(
    logits: Tensor, label: Tensor, ignore_index: int = 255, align_corners: bool = False
) -> Tensor:
    """Softmax cross-entropy, mean over the pixels that have a label (CTT Eq 1-2).

    Args:
        logits (Tensor): ``(B, K, h, w)``, up-sampled to the label where it is larger.
        label (Tensor): ``(B, H, W)`` int64.
        ignore_index (int): Label that does not count. Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if all is ignored.
    """
    total = resized_cross_entropy(logits, label, ignore_index, align_corners).sum()
    return total / (label != ignore_index).sum().clamp(min=1)


def confident_fraction_cross_entropy(
    logits: Tensor,
    pseudo_label: Tensor,
    confidence: Tensor,
    threshold: float = 0.968,
    ignore_index: int = 255,
    fraction: Optional[Tensor] = None,
    align_corners: bool = False,
) -> Tensor:
    """Cross-entropy to pseudo-labels, weighted by the share of confident pixels.

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
        fraction (Tensor, optional): The weight itself ``([P])``, where it was averaged over
            several processes. Defaults to None: computed from ``confidence``.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: Scalar, or ``(P,)``; float32 (float64 for double input).
    """
    lead, pixels = logits.shape[:-4], pseudo_label.shape[-3:].numel()
    if fraction is None:
        fraction = (confidence >= threshold).float().mean((-3, -2, -1))
    logits, pseudo_label = logits.flatten(0, -4), pseudo_label.flatten(0, -3)
    total = resized_cross_entropy(logits, pseudo_label, ignore_index, align_corners)
    return fraction * total.view(*lead, -1).sum(-1) / pixels


def downsample_nearest(label: Tensor, size: Tuple[int, int]) -> Tensor:
    """``([P,] B, H, W)`` of any dtype to ``([P,] B, h, w)``, nearest neighbour, dtype kept."""
    images = label.float() if label.dim() == 4 else label.float().unsqueeze(0)
    return F.interpolate(images, size, mode='nearest').view(*label.shape[:-2], *size).to(label)
