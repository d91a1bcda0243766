# Copyright (c) mmseg_ctt contributors.
"""Cross-entropy of up-sampled logits, without keeping anything at the size of the labels.

``F.cross_entropy(F.interpolate(logits, ...))`` keeps the up-sampled log-probabilities for the
backward pass. Here the gradient is formed on the way, in the buffer of the up-sampled logits, and
only its part at the logits' own size is kept.
"""

from typing import Any, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .precision import full_precision

# up-sampled logits held at a time, 128 MiB in float32
CHUNK_ELEMENTS = 1 << 25


def resized_cross_entropy(
    logits: Tensor,
    label: Tensor,
    ignore_index: int = 255,
    align_corners: bool = False,
    weight: Optional[Tensor] = None,
) -> Tensor:
    """Softmax cross-entropy at the size of the labels, summed over the pixels of each image.

    Args:
        logits (Tensor): ``(B, K, h, w)``, up-sampled bilinearly where sizes differ. Receives the
            gradient.
        label (Tensor): ``(B, H, W)`` int64.
        ignore_index (int): Label that adds nothing; negative labels add nothing either.
            Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.
        weight (Tensor, optional): ``(B, H, W)``, constant, of each pixel. Defaults to None: 1.

    Returns:
        Tensor: ``(B,)``, float32 (float64 for double input).
    """
    logits = full_precision(logits)
    weight = None if weight is None else weight.detach().to(logits.dtype)
    return _ResizedCrossEntropy.apply(logits, label, weight, ignore_index, align_corners)


class _ResizedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        label: Tensor,
        weight: Optional[Tensor],
        ignore_index: int,
        align_corners: bool,
    ) -> Tensor:
        images = max(1, CHUNK_ELEMENTS // (logits.shape[1] * label[0].numel())) if len(label) else 1
        # channels last, in which bilinear interpolation is faster
        logits = logits.contiguous(memory_format=torch.channels_last)
        labels = label.split(images)
        weights: List[Optional[Tensor]] = [None] * len(labels)
        if weight is not None:
            weights = list(weight.split(images))
        with torch.autocast(logits.device.type, enabled=False):
            parts = [
                _sum_and_gradient(*part, ignore_index, align_corners)
                for part in zip(logits.split(images), labels, weights)
            ]
        loss, gradient = (part[0] if len(part) == 1 else torch.cat(part) for part in zip(*parts))
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Tuple[Optional[Tensor], ...]:
        (gradient,) = ctx.saved_tensors
        return (grad_output.view(-1, 1, 1, 1) * gradient,) + (None,) * 4


def _sum_and_gradient(
    logits: Tensor, label: Tensor, weight: Optional[Tensor], ignore_index: int, align_corners: bool
) -> Tuple[Tensor, Tensor]:
    """Loss ``(b,)`` and its gradient ``(b, K, h, w)``."""
    label, size = label.unsqueeze(1), label.shape[1:]
    ignored = (label == ignore_index) | (label < 0)
    index = label.masked_fill(ignored, 0)
    same = logits.shape[2:] == size
    score = (
        logits - logits.amax(1, keepdim=True)
        if same
        else F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    )
    if not same:
        score -= score.amax(1, keepdim=True)
    own = score.gather(1, index)
    total = score.exp_().sum(1, keepdim=True)
    value = (total.log() - own).masked_fill_(ignored, 0)
    counts = total.reciprocal_().masked_fill_(ignored, 0)
    score *= counts  # probabilities
    score.scatter_add_(1, index, counts.sign_().neg_())
    if weight is not None:
        value, score = value * weight.unsqueeze(1), score.mul_(weight.unsqueeze(1))
    gradient = (
        score
        if same
        else torch.ops.aten.upsample_bilinear2d_backward(score, size, logits.shape, align_corners)
    )
    return value.sum((1, 2, 3)), gradient
