# Copyright (c) mmseg_ctt contributors.
"""Group-wise semantic mining: co-attention between images, aggregation, graph dropout."""

import math
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor


def co_attention(
    query: Tensor, key: Tensor, value: Tensor, valid: Optional[Tensor] = None
) -> Tensor:
    """Messages between all images of each group (arXiv 2012.05007, co-attention; released code).

    Position ``p`` of the receiving image ``i`` gets a convex mix of the maps of the sending image
    ``j``: the softmax over positions ``q`` of ``query_i(p) . key_j(q)``, without a scale.

    Args:
        query (Tensor): ``(B, G, D, h, w)``, first projection, of the receiving images.
        key (Tensor): ``(B, G, D, h, w)``, second projection, of the sending images.
        value (Tensor): ``(B, G, C, h, w)``, maps that are sent.
        valid (Tensor, optional): ``(B, G, h, w)`` bool, False in the padding, of which nothing is
            sent. Defaults to None: all positions count.

    Returns:
        Tensor: ``(B, G, G - 1, C, h, w)``: to each image, from the others in their order.

    Example:
        >>> maps = torch.arange(4.0).view(1, 2, 1, 1, 2)  # two images of two pixels
        >>> flat = torch.zeros_like(maps)  # equal scores: the mean of the other image
        >>> co_attention(flat, flat, maps).flatten().tolist()
        [2.5, 2.5, 0.5, 0.5]
    """
    batch, group, depth, height, width = query.shape
    senders = other_images(group, query.device)
    received = query.flatten(3).transpose(2, 3).unsqueeze(2)  # (B, G, 1, n, D)
    received = received.expand(-1, -1, group - 1, -1, -1) * math.sqrt(depth)  # undoes the scale
    sent_key, sent_value = (
        maps.flatten(3).transpose(2, 3)[:, senders].flatten(0, 2) for maps in (key, value)
    )
    mask = None if valid is None else valid.flatten(2)[:, senders].flatten(0, 2).unsqueeze(1)
    message = F.scaled_dot_product_attention(received.flatten(0, 2), sent_key, sent_value, mask)
    return message.transpose(1, 2).reshape(batch, group, group - 1, -1, height, width)


def other_images(group: int, device: Union[str, torch.device] = 'cpu') -> Tensor:
    """``(G, G - 1)`` int64: the other images of a group for each image, in their order.

    Example:
        >>> other_images(3).tolist()
        [[1, 2], [0, 2], [0, 1]]
    """
    position = torch.arange(group - 1, device=device)
    return position + (position >= torch.arange(group, device=device).unsqueeze(1))


def joined_messages(messages: Tensor) -> Tensor:
    """What one convolution reads of the messages to an image, for groups of any size.

    Two messages (groups of three, released code) are concatenated. For other groups the mean of
    the messages stands twice (ours), so that the convolution has one shape for all sizes.

    Args:
        messages (Tensor): ``(B, G, G - 1, C, h, w)``.

    Returns:
        Tensor: ``(B, G, 2C, h, w)``.
    """
    if messages.shape[2] != 2:
        messages = messages.mean(dim=2, keepdim=True).expand(-1, -1, 2, -1, -1, -1)
    return messages.flatten(2, 3)


def graph_dropout(
    maps: Tensor,
    draw: Tensor,
    drop_ratio: float = 0.8,
    threshold: float = 0.7,
    valid: Optional[Tensor] = None,
) -> Tensor:
    """Graph dropout layer: weakens the positions that dominate a map, or weighs by importance.

    With ``a`` the mean over channels, the factor of a position is ``1[a < threshold * max(a)]``
    with probability ``drop_ratio``, else ``sigmoid(a)``; the result is
    ``(maps * factor + maps) / 2``. Where all of ``a`` is negative, every position is below the
    threshold and the first factor is 1 (released code).

    Args:
        maps (Tensor): ``(N, C, h, w)``.
        draw (Tensor): ``(N,)`` uniform in [0, 1): from ``1 - drop_ratio`` on it drops.
        drop_ratio (float): Probability of dropping. Defaults to 0.8 (released code).
        threshold (float): Ratio of the maximum from which on a position is weakened. Defaults to
            0.7 (released code).
        valid (Tensor, optional): ``(N, h, w)`` bool, False in the padding, which has no part in
            the maximum. Defaults to None: all positions count.

    Returns:
        Tensor: Same shape.

    Example:
        >>> maps = torch.tensor([1.0, 4.0]).view(1, 1, 1, 2)
        >>> graph_dropout(maps, torch.tensor([0.9])).flatten().tolist()
        [1.0, 2.0]
    """
    mean = maps.mean(dim=1, keepdim=True)
    counted = mean if valid is None else mean.masked_fill(~valid.unsqueeze(1), -math.inf)
    dropped = (mean < threshold * counted.amax(dim=(2, 3), keepdim=True)).to(maps.dtype)
    drops = (draw + drop_ratio >= 1).view(-1, 1, 1, 1)
    return maps * (1 + torch.where(drops, dropped, mean.sigmoid())) / 2
