# Copyright (c) mmseg_ctt contributors.
"""Class-rebalanced self-training (CReST and CReST+, arXiv 2102.09559).

``I`` items (images), ``K`` classes, ``L`` their number in the paper. Sorting is stable: equal
scores go by the number of the item, equal frequencies by that of the class.
"""

import torch
from torch import Tensor

from ...functional.alignment import normalized_frequency


def keep_rates(frequency: Tensor, alpha: float = 1 / 3) -> Tensor:
    """Keep rate of each class's pseudo-labels, ``mu_l = (N_{L+1-l} / N_1)^alpha``.

    ``l`` numbers the classes by falling frequency: the rarest keeps all, the commonest the ratio of
    the rarest to it (released code, whose ``alpha=3`` is ``1 / alpha`` here).

    Args:
        frequency (Tensor): ``(K,)``, not negative, any number dtype; labels of each class.
        alpha (float): 0 keeps everything (plain self-training). Defaults to 1/3 (released code).

    Returns:
        Tensor: ``(K,)`` float64 in (0, 1]; 1 for a class without labels, which is no ``l``.

    Raises:
        ValueError: If ``alpha`` or a frequency is negative, or all are 0.
    """
    ratio = normalized_frequency(frequency)
    if alpha < 0:
        raise ValueError(f'alpha must not be negative, got {alpha}')
    order = ratio.argsort(descending=True, stable=True)
    # classes without a label come last and leave the order of the others as it is
    mirrored = (frequency > 0).sum() - 1 - torch.arange(len(order))
    sorted_rates = (ratio[order][mirrored.clamp(min=0)] / ratio.max()).pow(alpha)
    rates = torch.empty_like(ratio).scatter_(0, order, sorted_rates)
    return torch.where(frequency > 0, rates, 1.0)


def class_rebalanced_selection(score: Tensor, present: Tensor, rate: Tensor) -> Tensor:
    """Class-rebalanced selection: ``floor(n_c * mu_c)`` items of each class, by falling score.

    Args:
        score (Tensor): ``(I, K)`` float; anything where ``present`` is False.
        present (Tensor): ``(I, K)`` bool, items predicted as (or to contain) a class; ``n_c`` are
            its column sums.
        rate (Tensor): ``(K,)``, ``mu``, see :func:`keep_rates`.

    Returns:
        Tensor: ``(I, K)`` bool. A class that is present nowhere selects nothing.
    """
    # rounding may leave a product that is a whole number just below it
    kept = (present.sum(dim=0) * rate.double() + 1e-9).floor()
    ranked = score.double().masked_fill(~present, -torch.inf)
    rank = ranked.argsort(dim=0, descending=True, stable=True).argsort(dim=0)
    return present & (rank < kept)


def class_thresholds(histogram: Tensor, rate: Tensor) -> Tensor:
    """Confidence threshold of each class that keeps about a ratio ``mu_c`` of its pixels.

    The value at position ``floor(n_c * mu_c)`` of the falling order (DST-CBC's rule), the smallest
    one where that lies behind the end.

    Args:
        histogram (Tensor): ``(K, bins)`` int64, pixels by class and by confidence.
        rate (Tensor): ``(K,)``.

    Returns:
        Tensor: ``(K,)`` int64, numbers of bins; ``bins`` (nothing is kept) for a class without
        pixels.
    """
    bins = histogram.shape[1]
    total = histogram.sum(dim=1)
    position = torch.minimum((total * rate.double() + 1e-9).floor().long(), total - 1)
    at_least = histogram.flip(1).cumsum(1).flip(1)  # pixels in this bin and above
    threshold = (at_least > position.unsqueeze(1)).sum(dim=1) - 1
    return torch.where(total > 0, threshold, bins)


def generation_temperature(generation: int, generations: int, low: float = 0.5) -> float:
    """Exponent of the target distribution: 1 at first, ``low`` in the last generation (CReST+)."""
    done = generation / (generations - 1) if generations > 1 else 0.0
    return (1 - done) + done * low
