# Copyright (c) mmseg_ctt contributors.
"""Attention between channels, classes of channels, and positions in rings."""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional import downsample_nearest

EPS = 1e-5  # of instance normalisation


def channel_weights(query: Tensor, key: Tensor, filled: Optional[Tensor] = None) -> Tensor:
    """Attention weights of channels: ``softmax(IN(query key^T))`` (eq. 2 and 3).

    Instance normalisation of a score matrix subtracts its mean, which a softmax does not see, so
    that it is a temperature: the standard deviation of the scores.

    Args:
        query (Tensor): ``(..., R, n)``, one row a channel, ``n`` positions.
        key (Tensor): ``(..., S, n)``.
        filled (Tensor, optional): ``(S,)`` bool, channels that may be read; there must be one.
            Defaults to None: all.

    Returns:
        Tensor: ``(..., R, S)``; rows sum to 1.
    """
    scores = query @ key.transpose(-2, -1)
    if filled is None:
        variance = scores.var((-2, -1), unbiased=False, keepdim=True)
        return (scores * (variance + EPS).rsqrt()).softmax(dim=-1)
    number = filled.sum() * scores.shape[-2]
    mean = (scores * filled).sum((-2, -1), keepdim=True) / number
    deviation = (scores - mean) * filled
    variance = deviation.square().sum((-2, -1), keepdim=True) / number
    scores = (scores * (variance + EPS).rsqrt()).masked_fill(~filled, -torch.inf)
    return scores.softmax(dim=-1)


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
    return (unit @ embedding.float().flatten(2).transpose(1, 2)).argmax(dim=1)


@torch.no_grad()
def ring_sources(label: Tensor, pointer: Tensor, size: int) -> Tuple[Tensor, Tensor]:
    """Rows that are written to the rings of their classes, one after the other.

    Args:
        label (Tensor): ``(N,)`` int64 class of each row, in ``[0, K)``.
        pointer (Tensor): ``(K,)`` int64, entry of each ring that is written next.
        size (int): Entries of a ring; of more rows the last ones stay.

    Returns:
        tuple[Tensor, Tensor]: ``(K, size)`` int64 row that an entry takes, -1 where it stays, and
        ``(K,)`` int64 number of rows of each class.
    """
    classes = torch.arange(len(pointer), device=label.device)
    member = (label.unsqueeze(1) == classes).long()
    number = member.sum(dim=0)
    order = member.cumsum(dim=0).gather(1, label.unsqueeze(1)).squeeze(1) - 1
    entry = label * size + (pointer[label] + order) % size
    # rows that later ones would replace go to an entry behind all others
    entry = torch.where(order >= number[label] - size, entry, len(pointer) * size)
    source = label.new_full((len(pointer) * size + 1,), -1)
    source.scatter_(0, entry, torch.arange(len(label), device=label.device))
    return source[:-1].view(len(pointer), size), number
