# Copyright (c) mmseg_ctt contributors.
"""Binary cross-entropy of each class, for classifiers that are to get more classes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import full_precision


def sigmoid_cross_entropy(
    logits: Tensor,
    label: Tensor,
    ignore_index: int = 255,
    align_corners: bool = False,
    over_all: bool = False,
) -> Tensor:
    """Binary cross-entropy with logits of every class, sum over classes, mean over pixels.

    Classes do not compete, so that a classifier of more classes can begin as this one (iCaRL,
    step 0 of WILSON).

    Args:
        logits (Tensor): ``(B, K, h, w)``, up-sampled to the label where it is larger.
        label (Tensor): ``(B, H, W)`` int64.
        ignore_index (int): Label that does not count; negative labels do not either.
            Defaults to 255.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.
        over_all (bool): Divide by the number of all pixels, ignored ones too (released code of
            WILSON). Defaults to False: by that of the pixels with a label.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if all is ignored.

    Example:
        >>> logits = torch.zeros(1, 3, 2, 2)
        >>> label = torch.tensor([[[0, 1], [2, 255]]])
        >>> round(sigmoid_cross_entropy(logits, label).item(), 4)  # 3 log 2
        2.0794
    """
    logits = full_precision(logits)
    if logits.shape[2:] != label.shape[1:]:
        size = label.shape[1:]
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    labeled = (label != ignore_index) & (label >= 0)
    own = logits.gather(1, label.masked_fill(~labeled, 0).unsqueeze(1)).squeeze(1)
    with torch.autocast(logits.device.type, enabled=False):
        loss = F.softplus(logits).sum(dim=1) - own  # of the label: softplus(-z) = softplus(z) - z
    total = loss.masked_fill(~labeled, 0).sum()
    return total / (label.numel() if over_all else labeled.sum().clamp(min=1))
