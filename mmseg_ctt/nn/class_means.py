# Copyright (c) mmseg_ctt contributors.
from typing import Tuple

import torch
from torch import Tensor

from ..functional import class_sums
from .ranks import mean_over_ranks


@torch.no_grad()
def class_means(
    feature: Tensor, label: Tensor, valid: Tensor, num_candidates: Tensor
) -> Tuple[Tensor, Tensor, Tensor]:
    """Prototypes: the mean feature of every class over all processes.

    Args:
        feature (Tensor): ``(N, D)``.
        label (Tensor): ``(N,)`` int64; anything where ``valid`` is False.
        valid (Tensor): ``(N,)`` bool.
        num_candidates (Tensor): ``(K,)``, pixels of each class that may be anchors on this rank.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Means ``(K, D)``, which classes have a pixel ``(K,)`` bool,
        and candidates relative to their mean over the ranks ``(K,)``, 0 where there is none:
        weights with which the mean of the ranks' losses is the mean over the anchors of all.
    """
    total, count = class_sums(feature, label, valid, len(num_candidates))
    mean = mean_over_ranks(torch.cat([total, torch.stack([count, num_candidates], dim=1)], dim=1))
    total, count, mean_candidates = mean[:, :-2], mean[:, -2], mean[:, -1]
    return (
        total / count.clamp(min=1e-6).unsqueeze(1),
        count > 0,
        num_candidates / mean_candidates.clamp(min=1e-6),
    )
