# Copyright (c) mmseg_ctt contributors.
"""Contrast with all entries of the own class summed up (PixCon, arXiv 2607.03068).

``tests/parity/test_parity_pixcon.py`` compares with values of the released code.
"""

from typing import Callable, Optional

import torch
from torch import Tensor

EMPTY = -1e4  # score of an entry that holds nothing; finite, so that gradients are no NaN


def summed_positives_contrast(
    anchor: Tensor,
    label: Tensor,
    bank: Tensor,
    filled: Tensor,
    temperature: float = 0.1,
    valid: Optional[Tensor] = None,
    mean_count: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Supervised contrast with the positives summed inside the logarithm.

    ``log sum_all e^s - log sum_own e^s``, mean over the anchors whose class has an entry. CTT's
    high-level contrast has a logarithm for each positive instead.

    Args:
        anchor (Tensor): ``(N, D)`` unit features. Receives the gradient.
        label (Tensor): ``(N,)`` int64; anything where ``valid`` is False.
        bank (Tensor): ``(K, V, D)`` unit features by class, constant.
        filled (Tensor): ``(K, V)`` bool, entries that hold one.
        temperature (float): Defaults to 0.1 (released code).
        valid (Tensor, optional): ``(N,)`` bool. Defaults to None: all.
        mean_count (Callable, optional): Takes the number of anchors to its mean over all
            processes. Defaults to None: one process.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph without an anchor.
    """
    dtype = torch.float64 if anchor.dtype == torch.float64 else torch.float32
    label = label if valid is None else label.masked_fill(~valid, 0)
    counted = filled.any(dim=1)[label]
    counted = (counted if valid is None else counted & valid).to(dtype)
    with torch.autocast(anchor.device.type, enabled=False):
        keys = bank.detach().to(dtype)
        score = (anchor.to(dtype) @ keys.flatten(0, 1).t() / temperature).unflatten(1, filled.shape)
        score = score.masked_fill(~filled, EMPTY)  # (N, K, V)
        own = score.gather(1, label.view(-1, 1, 1).expand(-1, 1, score.shape[2])).squeeze(1)
        loss = score.flatten(1).logsumexp(dim=1) - own.logsumexp(dim=1)
    number = counted.sum()
    number = number if mean_count is None else mean_count(number)
    return (loss * counted).sum() / number.clamp(min=1e-12)
