# Copyright (c) mmseg_ctt contributors.
"""PS-MT: loss of the classes that teachers find improbable."""

from typing import Callable, Optional

import torch
from torch import Tensor

from ...functional.precision import full_precision
from ...functional.probability import complement

SMALLEST = 1e-7  # of the probabilities whose logarithm is taken (released code)


def improbable_class_loss(
    logits: Tensor,
    target: Tensor,
    threshold: float,
    temperature: float = 1.0,
    valid: Optional[Tensor] = None,
    mean_count: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Negative learning (released code of PS-MT): ``-log(1 - p)`` of improbable classes.

    Mean over all pairs of a pixel and a class whose probability ``softmax(target / temperature)``
    lies below the threshold; the most probable class of a pixel adds 0 but is counted.

    Args:
        logits (Tensor): ``(B, K, H, W)`` of the student. Receives the gradient.
        target (Tensor): ``(B, K, H, W)`` logits of the teachers, constant.
        threshold (float): In [0, 1].
        temperature (float): Above 0. Defaults to 1 (released code).
        valid (Tensor, optional): ``(B, H, W)`` bool, pixels that count. Defaults to None: all.
        mean_count (Callable, optional): Takes the number of pairs to its mean over all processes.
            Defaults to None: this one alone.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no pair counts.

    Example:
        >>> logits = torch.zeros(1, 2, 1, 1)  # probabilities of 1/2
        >>> target = torch.tensor([2.0, -2.0]).view(1, 2, 1, 1)
        >>> round(improbable_class_loss(logits, target, 0.1).item(), 4)
        0.6931
    """
    logits = full_precision(logits)
    target = target.detach().to(logits.dtype)
    with torch.autocast(logits.device.type, enabled=False):
        improbable = (target / temperature).softmax(1) < threshold
        if valid is not None:
            improbable = improbable & valid.unsqueeze(1)
        best = target.argmax(1, keepdim=True)
        terms = -complement(logits.softmax(1)).clamp(min=SMALLEST).log()
        terms = terms.scatter(1, best, 0.0)
        count = improbable.sum().to(terms.dtype)
        count = count if mean_count is None else mean_count(count)
        return (terms * improbable).sum() / count.clamp(min=1)
