# Copyright (c) mmseg_ctt contributors.
"""Weights of pixels from the confidence of their pseudo-labels."""

from typing import Optional

import torch
from torch import Tensor

from .precision import full_precision

WEIGHTINGS = ('threshold', 'image_ratio', 'batch_ratio', 'mean_confidence')


@torch.no_grad()
def confidence_weight(
    confidence: Tensor,
    threshold: float,
    weighting: str = 'threshold',
    valid: Optional[Tensor] = None,
) -> Tensor:
    """Weight of every pixel from the confidence of its pseudo-label.

    - ``threshold``: 1 where the confidence reaches the threshold (FixMatch, UniMatch)
    - ``image_ratio``: ratio of such pixels in the image, for all of its pixels
    - ``batch_ratio``: ratio of such pixels in the batch (ClassMix, CTT, CutMix-Seg)
    - ``mean_confidence``: mean confidence of an image, summed over the images (UniMatch's
      ``pixelavg``, which grows with the batch)

    Args:
        confidence (Tensor): ``(B, H, W)``, in [0, 1].
        threshold (float): Confidence from which a pixel counts as confident.
        weighting (str): One of the above. Defaults to 'threshold'.
        valid (Tensor, optional): ``(B, H, W)`` bool; the others have no weight and do not count.
            Defaults to None: all.

    Returns:
        Tensor: ``(B, H, W)``, bool for ``threshold``, else float.

    Raises:
        ValueError: If the weighting is unknown.
    """
    if weighting not in WEIGHTINGS:
        raise ValueError(f'weighting must be one of {WEIGHTINGS}, got {weighting!r}')
    confidence = full_precision(confidence)
    valid = torch.ones_like(confidence, dtype=torch.bool) if valid is None else valid
    confident = (confidence >= threshold) & valid
    if weighting == 'threshold':
        return confident
    value = confidence * valid if weighting == 'mean_confidence' else confident.to(confidence.dtype)
    axes = (0, 1, 2) if weighting == 'batch_ratio' else (1, 2)
    ratio = value.sum(axes, keepdim=True) / valid.sum(axes, keepdim=True).clamp(min=1)
    return (ratio.sum(0) if weighting == 'mean_confidence' else ratio) * valid
