# Copyright (c) mmseg_ctt contributors.
"""How often the nearest neighbour of an embedding is of its class."""

from typing import Optional, Tuple

import torch
from torch import Tensor

from .precision import full_precision

CHUNK = 1024  # queries at a time: a validation set has ten thousand patches


@torch.no_grad()
def retrieval_accuracy(
    feature: Tensor, label: Tensor, group: Optional[Tensor] = None, ignore_index: int = 255
) -> Tuple[Tensor, Tensor]:
    """Top-1 retrieval accuracy of embeddings: the nearest other one is of the same class.

    With groups, such as the images that patches are of, neighbours are of other groups alone. An
    embedding of whose class there is none to retrieve does not count. One that is not finite
    retrieves nothing.

    Args:
        feature (Tensor): ``(N, D)``.
        label (Tensor): ``(N,)`` int64.
        group (Tensor, optional): ``(N,)`` int64. Defaults to None: neighbours are all others.
        ignore_index (int): Label of embeddings that are neither queries nor neighbours. Defaults
            to 255.

    Returns:
        tuple[Tensor, Tensor]: Accuracy, float32, 0 if nothing counts, and the number of
        embeddings that count, int64; scalars.

    Example:
        >>> feature = torch.tensor([[0.0], [1.0], [1.1], [3.0]])
        >>> accuracy, count = retrieval_accuracy(feature, torch.tensor([0, 0, 1, 1]))
        >>> accuracy.item(), count.item()
        (0.5, 4)
    """
    feature = full_precision(feature)
    group = torch.arange(len(label), device=label.device) if group is None else group
    length = feature.square().sum(1)
    hits, count = label.new_zeros(()), label.new_zeros(())
    with torch.autocast(feature.device.type, enabled=False):
        for queries in torch.arange(len(label), device=label.device).split(CHUNK):
            same = label[queries].unsqueeze(1) == label
            allowed = (group[queries].unsqueeze(1) != group) & (label != ignore_index)
            allowed &= (label[queries] != ignore_index).unsqueeze(1)
            distance = length - 2 * feature[queries] @ feature.t()  # less that of the query itself
            least, nearest = distance.masked_fill(~allowed, torch.inf).min(1, keepdim=True)
            counted = (allowed & same).any(1)
            found = same.gather(1, nearest) & (least < torch.inf)  # none where it is NaN
            hits = hits + (found.squeeze(1) & counted).sum()
            count = count + counted.sum()
    return hits.float() / count.clamp(min=1), count
