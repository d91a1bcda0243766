# Copyright (c) mmseg_ctt contributors.
"""Attention between channels, classes of channels, and positions in queues."""

from typing import Callable, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional import downsample_nearest

EPS = 1e-5  # of instance normalisation
CLOSED = -1e9  # score of a channel that may not be read


def channel_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    filled: Optional[Tensor] = None,
    dropout: Callable[[Tensor], Tensor] = lambda weights: weights,
) -> Tensor:
    """Attention between channels: ``softmax(IN(query key^T)) value`` (eq. 2 and 3).

    Instance normalisation of a score matrix subtracts its mean, which a softmax does not see, so
    that it is a temperature: the standard deviation of the scores.

    Args:
        query (Tensor): ``(B, heads, R, n)``, one row a channel, ``n`` positions.
        key (Tensor): ``(G, heads, S, n)``; ``G`` is ``B``, or 1: all images read the same.
        value (Tensor): The same shape.
        filled (Tensor, optional): ``(S,)`` bool, channels that may be read; there must be one, and
            the keys of the others are zeros. Defaults to None: all.
        dropout (Callable): Of the weights. Defaults to none.

    Returns:
        Tensor: ``(B, heads, R, n)``.
    """
    query = query * (score_variance(query, key, filled) + EPS).rsqrt()
    if filled is not None:  # as one more position, which is cheaper than a mask of all scores
        closed = torch.where(filled, 0.0, CLOSED).view(1, 1, -1, 1).expand(*key.shape[:3], 1)
        query = torch.cat([query, torch.ones_like(query[..., :1])], dim=-1)
        key = torch.cat([key, closed.to(key)], dim=-1)
    images = len(query)
    if len(key) == 1:  # the images as more rows: matmul would copy the keys for each
        query = query.transpose(0, 1).flatten(1, 2).unsqueeze(0)
    found = dropout((query @ key.transpose(-2, -1)).softmax(dim=-1)) @ value
    if len(key) == 1:
        found = found.squeeze(0).unflatten(1, (images, -1)).transpose(0, 1)
    return found


def score_variance(query: Tensor, key: Tensor, filled: Optional[Tensor] = None) -> Tensor:
    """Variance of all scores ``query key^T`` of an image and head.

    With means ``q``, ``k`` of the rows and ``Q``, ``K`` their differences from them, the sum of
    squares is ``<Q^T Q, K^T K> + S |Q k|^2 + R |K q|^2``, so that no score is computed where there
    are fewer positions than channels.

    Args:
        query (Tensor): As in :func:`channel_attention`.
        key (Tensor): As there.
        filled (Tensor, optional): As there.

    Returns:
        Tensor: ``(B, heads, 1, 1)``.
    """
    rows: int = query.shape[-2]
    number: Union[int, Tensor] = key.shape[-2]
    mean_query = query.mean(-2, keepdim=True)
    if filled is None:
        mean_key = key.mean(-2, keepdim=True)
        key = key - mean_key
    else:
        number = filled.sum()
        mean_key = key.sum(-2, keepdim=True) / number
        key = (key - mean_key) * filled.unsqueeze(1)
    query = query - mean_query
    if query.shape[-1] <= rows:
        gram = (query.transpose(-2, -1) @ query) * (key.transpose(-2, -1) @ key)
        joint = gram.sum((-2, -1), keepdim=True).clamp(min=0)  # rounding of a sum of both signs
    else:
        joint = (query @ key.transpose(-2, -1)).square().sum((-2, -1), keepdim=True)
    of_query = (query * mean_key).sum(-1, keepdim=True).square().sum((-2, -1), keepdim=True)
    of_key = (key * mean_query).sum(-1, keepdim=True).square().sum((-2, -1), keepdim=True)
    return joint / (rows * number) + of_query / rows + of_key / number


@torch.no_grad()
def channel_classes(scores: Tensor, embedding: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Class of each channel: the one whose map is most similar to the channel (section 3.4).

    Maps of classes have unit norm over the positions. The norm of a channel would change no
    maximum.

    Args:
        scores (Tensor): ``(B, K, H, W)``, probabilities (paper), or logits (released code);
            resized to the embedding.
        embedding (Tensor): ``(B, C, h, w)``.
        valid (Tensor, optional): ``(B, H', W')`` bool, False in the padding. Defaults to None.

    Returns:
        Tensor: ``(B, C)`` int64.
    """
    size = (embedding.shape[2], embedding.shape[3])
    maps = F.interpolate(scores.float(), size, mode='bilinear', align_corners=False)
    if valid is not None:
        maps = maps * downsample_nearest(valid, size).unsqueeze(1)
    unit = F.normalize(maps.flatten(2), dim=-1)
    with torch.autocast(unit.device.type, enabled=False):
        return (unit @ embedding.float().flatten(2).transpose(1, 2)).argmax(dim=1)


@torch.no_grad()
def queue_sources(label: Tensor, pointer: Tensor, size: int) -> Tuple[Tensor, Tensor]:
    """Rows that are written to the queues of their classes, one after the other.

    Args:
        label (Tensor): ``(N,)`` int64 class of each row, in ``[0, K)``.
        pointer (Tensor): ``(K,)`` int64, entry of each queue that is written next.
        size (int): Entries of a queue; of more rows the last ones stay.

    Returns:
        tuple[Tensor, Tensor]: ``(K, size)`` int64 row that an entry takes, -1 where it stays, and
        ``(K,)`` int64 number of rows of each class.
    """
    classes = torch.arange(len(pointer), device=label.device)
    in_class = (label.unsqueeze(1) == classes).long()
    number = in_class.sum(dim=0)
    order = in_class.cumsum(dim=0).gather(1, label.unsqueeze(1)).squeeze(1) - 1
    entry = label * size + (pointer[label] + order) % size
    # rows that later ones would replace go to an entry behind all others
    entry = torch.where(order >= number[label] - size, entry, len(pointer) * size)
    source = label.new_full((len(pointer) * size + 1,), -1)
    source.scatter_(0, entry, torch.arange(len(label), device=label.device))
    return source[:-1].view(len(pointer), size), number
