# Copyright (c) mmseg_ctt contributors.
"""Batch-hard triplet loss of embeddings (arXiv 1703.07737), on the device of the batch."""

from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import full_precision

MIN_DISTANCE = 1e-6  # root of 1e-12, below which a distance has no gradient (released code of S4L)


class BatchHardTriplet(NamedTuple):
    """Batch-hard triplet loss and what is logged beside it, float32 scalars.

    Attributes:
        loss (Tensor): Mean over the anchors that have a positive and a negative.
        accuracy (Tensor): Ratio of these anchors whose nearest other embedding is a positive.
        triplets (Tensor): Number of these anchors.
    """

    loss: Tensor
    accuracy: Tensor
    triplets: Tensor


def batch_hard_triplet(
    embedding: Tensor, ids: Tensor, margin: Optional[float] = None
) -> BatchHardTriplet:
    """Batch-hard triplet loss: the farthest positive and the nearest negative of each anchor.

    ``softplus(max d_pos - min d_neg)`` without a margin (soft margin), else
    ``max(0, margin + max d_pos - min d_neg)``. Distances are Euclidean, at least 1e-6; an embedding
    is no positive of itself.

    Args:
        embedding (Tensor): ``(N, D)``, such as unit vectors. Receives the gradient.
        ids (Tensor): ``(N,)`` int64, what each embedding is of; equal numbers are positives.
        margin (float, optional): Defaults to None: soft margin (S4L).

    Returns:
        BatchHardTriplet: The loss is 0 with a graph where no anchor has a positive and a negative.
        float32 (float64 for double input).
    """
    embedding = full_precision(embedding)
    if not len(embedding):
        zero = embedding.sum()
        return BatchHardTriplet(zero, zero.detach(), zero.detach())
    with torch.autocast(embedding.device.type, enabled=False):
        distance = euclidean_distances(embedding)
    negative = ids.unsqueeze(0) != ids.unsqueeze(1)
    positive = ~(negative | torch.eye(len(ids), dtype=torch.bool, device=ids.device))
    farthest = distance.masked_fill(~positive, -torch.inf).amax(dim=1)
    nearest = distance.masked_fill(~negative, torch.inf).amin(dim=1)
    gap = farthest - nearest  # -inf without a positive or a negative, of which the loss is 0
    loss = F.softplus(gap) if margin is None else (gap + margin).relu()
    valid = positive.any(dim=1) & negative.any(dim=1)
    count = valid.sum().to(loss.dtype)
    positives = distance.detach().masked_fill(~positive, torch.inf).amin(dim=1)
    hits = (valid & (positives < nearest.detach())).sum()
    number = count.clamp(min=1)
    return BatchHardTriplet(loss.sum() / number, hits / number, count)


def euclidean_distances(embedding: Tensor) -> Tensor:
    """``(N, N)`` distances of ``(N, D)`` embeddings, at least 1e-6.

    They come from differences; ``|x|^2 + |y|^2 - 2 x y`` would lose the digits of small ones.
    """
    found = torch.cdist(embedding, embedding, compute_mode='donot_use_mm_for_euclid_dist')
    return found.clamp(min=MIN_DISTANCE)
