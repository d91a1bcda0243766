# Copyright (c) mmseg_ctt contributors.
"""Pseudo-labels, and label maps at the size of a feature map."""

from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import full_precision
from .probability import two_class_logits


@torch.no_grad()
def pseudo_label(
    logits: Tensor, size: Optional[Sequence[int]] = None, align_corners: bool = False
) -> Tuple[Tensor, Tensor]:
    """Label and confidence of every pixel, without building the softmax tensor.

    The largest probability is ``1 / sum_c exp(logit_c - logit_max)``, so that one reduction and
    one in-place exponential are enough (CTT Eq 4 and the confidence of Eq 7).

    Args:
        logits (Tensor): ``(B, K, h, w)``, any floating dtype. A single channel is the logit of
            class 1 against class 0 (sigmoid).
        size (Sequence[int], optional): ``(H, W)`` to up-sample the logits to, bilinearly,
            before the maximum is taken. Defaults to None: ``(h, w)``.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        tuple[Tensor, Tensor]: Label ``(B, H, W)`` int64 and confidence ``(B, H, W)``, float32
        (float64 for double input).
    """
    logits = two_class_logits(logits)
    logits = full_precision(logits)
    if size is not None and tuple(size) != tuple(logits.shape[2:]):
        logits = F.interpolate(logits, tuple(size), mode='bilinear', align_corners=align_corners)
    top, label = logits.max(dim=1, keepdim=True)
    confidence = (logits - top).exp_().sum(dim=1).reciprocal_()
    return label.squeeze(1), confidence


def downsample_nearest(label: Tensor, size: Sequence[int]) -> Tensor:
    """``([P,] B, H, W)`` of any dtype to ``([P,] B, h, w)``, nearest neighbour, dtype kept.

    A view where the sizes are multiples of the new ones.
    """
    rows, columns = label.shape[-2] // size[0], label.shape[-1] // size[1]
    if (rows * size[0], columns * size[1]) == tuple(label.shape[-2:]):
        return label[..., ::rows, ::columns]
    images = label.float() if label.dim() == 4 else label.float().unsqueeze(0)
    images = F.interpolate(images, tuple(size), mode='nearest')
    return images.view(*label.shape[:-2], *size).to(label)
