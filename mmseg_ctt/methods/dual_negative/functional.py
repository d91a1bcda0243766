# Copyright (c) mmseg_ctt contributors.
"""Dual negative label learning: pseudo-negative labels, classes that an item does *not* have.

Source: DNLL, arXiv 2301.03976, and its released code, which classifies images. An item is an image
or a pixel. Shapes: ``*`` is any number of dimensions, ``(N,)`` images or ``(B, H, W)`` pixels.
"""

import math
from typing import List, Optional

import torch
from torch import Tensor

from ...functional.precision import full_precision
from ...functional.probability import complement

SELECTIONS = ('distinct', 'replacement', 'rank')


def negative_label_loss(
    logits: Tensor,
    negative: Tensor,
    valid: Optional[Tensor] = None,
    eps: float = 1e-6,
    count: Optional[Tensor] = None,
) -> Tensor:
    """Negative label loss: ``-log(1 - p_c + eps)``, mean over an item's negatives, then over items.

    ``p`` is the softmax of the logits (released code, ``nl``, which gives NaN without an item).

    Args:
        logits (Tensor): ``(N, K)`` or ``(B, K, H, W)``.
        negative (Tensor): Same shape, bool or 0 and 1; 1 for a negative class.
        valid (Tensor, optional): ``(N,)`` or ``(B, H, W)`` bool, items that count. Defaults to
            None: all. An item without a negative class adds 0 and stays in the mean.
        eps (float): Keeps the logarithm finite; positive. Defaults to 1e-6 (released code).
        count (Tensor, optional): Number of items to divide by, where it was averaged over several
            processes. Defaults to None: those that are valid.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if nothing is valid.

    Raises:
        ValueError: If ``eps`` is not positive.
    """
    if eps <= 0:
        raise ValueError(f'eps must be positive, got {eps}')
    negative = negative.bool()
    if valid is None:
        valid = torch.ones_like(negative[:, 0])
    with torch.autocast(logits.device.type, enabled=False):
        logits = full_precision(logits)
        number = negative.sum(dim=1, dtype=logits.dtype).clamp(min=1)
        weight = negative * (valid / number).unsqueeze(1)
        count = valid.sum() if count is None else count
        total = -((complement(logits.softmax(dim=1)) + eps).log() * weight).sum()
        return total / torch.where(count > 0, count, 1)


@torch.no_grad()
def negative_classes(
    scores: Tensor,
    number: int = 2,
    selection: str = 'distinct',
    exclude: int = 1,
    noise: Optional[Tensor] = None,
) -> Tensor:
    """Negative classes of every item, none of them among the classes most probable to the peer.

    - ``distinct``: ``number`` different classes, uniformly
    - ``replacement``: ``number`` draws with replacement, so that an item may have fewer
      (released code)
    - ``rank``: the ``number`` classes that the peer finds least probable

    Args:
        scores (Tensor): ``(N, K)`` or ``(B, K, H, W)``, logits or probabilities of the peer.
        number (int): ``m``. Defaults to 2 (released code).
        selection (str): One of the above. Defaults to 'distinct'.
        exclude (int): Classes of the highest scores that are never negative. Defaults to 1
            (released code: the argmax).
        noise (Tensor, optional): ``(N, m)`` or ``(B, m, H, W)`` float32 in [0, 1) to draw with.
            Defaults to None: drawn here. ``rank`` needs none.

    Returns:
        Tensor: Shape of ``scores``, bool.

    Raises:
        ValueError: If the selection is unknown or there are too few classes.
    """
    check_negatives(number, selection, exclude, scores.shape[1])
    first = (
        scores.max(dim=1, keepdim=True).indices
        if exclude == 1
        else scores.topk(exclude, dim=1).indices.sort(dim=1).values
    )
    if selection == 'rank':
        scores = scores.scatter(1, first, torch.inf)
        chosen = scores.topk(number, dim=1, largest=False).indices
    else:
        if noise is None:
            noise = torch.rand(scores.shape[0], number, *scores.shape[2:], device=scores.device)
        chosen = _draw(first, noise, scores.shape[1], selection == 'replacement')
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, chosen, True)


def stable(
    label: Tensor,
    confidence: Tensor,
    other_label: Tensor,
    other_confidence: Tensor,
    threshold: float,
) -> Tensor:
    """Stable items: two views agree, and at least one is confident (released code, 0.8).

    Args:
        label (Tensor): ``(*)`` int64, argmax on one view.
        confidence (Tensor): ``(*)`` its probability.
        other_label (Tensor): ``(*)``, on the other view.
        other_confidence (Tensor): ``(*)``.
        threshold (float): Confidence from which a view is confident.

    Returns:
        Tensor: ``(*)`` bool.
    """
    confident = torch.maximum(confidence, other_confidence) >= threshold
    return confident & (label == other_label)


def check_negatives(number: int, selection: str, exclude: int, num_classes: int) -> None:
    """Check the settings of :func:`negative_classes`.

    Args:
        number (int): Negative classes of an item.
        selection (str): How they are selected.
        exclude (int): Most probable classes that are never negative.
        num_classes (int): ``K``.

    Raises:
        ValueError: If the selection is unknown or there are too few classes.
    """
    if selection not in SELECTIONS:
        raise ValueError(f'model.selection must be one of {SELECTIONS}, got {selection!r}')
    if num_classes == 2 and number > 1:
        raise ValueError(
            f'model.num_negatives={number} needs more than two classes; with 1 of two, the class '
            'that a pixel is not names the one that it is, and pixels that are not trusted are '
            'learnt from: take another method, such as ctt-plus or classmix'
        )
    if min(number, exclude) < 1 or number + exclude > num_classes:
        raise ValueError(
            f'model.num_negatives={number} and model.exclude={exclude} must be '
            f'positive and together at most the number of classes, {num_classes}'
        )


def negative_ramp(progress: float, until: float = 0.15) -> float:
    """Ramp-up of the loss weight: ``exp(-5 (1 - x)^2)`` over its value at ``x = until``.

    The released weight is ``75 exp(-5 (1 - e / 100)^2)`` until epoch ``e = 15`` of 100, where it
    is 2.02, and 2 from then on: it rises from 0.25 to 1 of its end.

    Args:
        progress (float): Ratio of the training that is done, in [0, 1].
        until (float): Ratio of the training that the rise takes; 0: the factor is 1.
            Defaults to 0.15.

    Returns:
        float: At most 1.

    Example:
        >>> [round(negative_ramp(done), 2) for done in (0, 0.1, 0.15, 1)]
        [0.25, 0.65, 1.0, 1.0]
    """
    return math.exp(5 * (1 - until) ** 2 - 5 * (1 - min(progress, until)) ** 2)


def _draw(first: Tensor, noise: Tensor, num_classes: int, replacement: bool) -> Tensor:
    """Class ids along dimension 1: the r-th of the classes not yet taken, with r uniform."""
    taken = list(first.unbind(1))  # ascending
    chosen: List[Tensor] = []
    for uniform in noise.unbind(1):
        free = num_classes - len(taken)
        drawn = (uniform * free).long().clamp_(max=free - 1)
        for other in taken:
            drawn = drawn + (drawn >= other)
        chosen.append(drawn)
        if not replacement:
            taken = _insert(taken, drawn)
    return torch.stack(chosen, dim=1)


def _insert(ascending: List[Tensor], value: Tensor) -> List[Tensor]:
    """The list with one more value at each item, still ascending."""
    longer = []
    for entry in ascending:
        longer.append(torch.minimum(entry, value))
        value = torch.maximum(entry, value)
    return [*longer, value]
