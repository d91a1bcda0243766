# Copyright (c) mmseg_ctt contributors.
from typing import Any, Mapping, Optional, Tuple

import torch
from torch import Tensor

from ...nn.heads import MAP_OF_EVAL, head_name
from .functional import channel_classes
from .memory import ChannelMemory
from .neck import KEY, ChannelAttention

NECK = 'AllSparkNeck'


class Rebuilding:
    """What the images of one step read: rules of :meth:`AllSparkNeck.routed`.

    Unlabelled images read their own channels, which enter the memory. Labelled images read the
    memory, or before its start the unlabelled images of the batch on this rank.

    Args:
        memory (ChannelMemory): Of the model.
        scores (Tensor): ``(B, K, H, W)`` predictions for the unlabelled images, see
            :func:`channel_classes`.
        valid (Tensor, optional): ``(B, H, W)`` bool, False in their padding.
        from_memory (bool): Whether labelled images read the memory.
    """

    def __init__(
        self, memory: ChannelMemory, scores: Tensor, valid: Optional[Tensor], from_memory: bool
    ) -> None:
        self.memory, self.scores, self.valid = memory, scores, valid
        self.from_memory = from_memory
        self.read: Optional[Tensor] = None  # (B, C, n), embedding of the unlabelled images

    def joint(
        self, attention: ChannelAttention, embedding: Tensor, size: Tuple[int, int]
    ) -> Tensor:
        """Of a pass of the labelled and the unlabelled images, in this order."""
        number = len(self.scores)
        labeled, unlabeled = embedding.split([len(embedding) - number, number])
        own = self.unlabeled(attention, unlabeled, size)
        return torch.cat([self.labeled(attention, labeled, size), own])

    def unlabeled(
        self, attention: ChannelAttention, embedding: Tensor, size: Tuple[int, int]
    ) -> Tensor:
        """Of a pass of the unlabelled images, which must come first."""
        maps = embedding.detach().unflatten(2, size)
        self.memory.update(maps, channel_classes(self.scores, maps, self.valid))
        self.read = embedding
        return attention.own(embedding)

    def labeled(
        self, attention: ChannelAttention, embedding: Tensor, size: Tuple[int, int]
    ) -> Tensor:
        """Of a pass of the labelled images."""
        assert self.read is not None
        if not self.from_memory:
            return attention.other(embedding, self.read.unsqueeze(0))
        source = self.memory.channels_of(size).to(embedding.dtype)
        return attention.other(embedding, source.unsqueeze(0), self.memory.filled)


def with_neck(segmentor: Any, split_heads: bool) -> dict:
    """Config of a segmentor with the neck, whose settings it may hold.

    Args:
        segmentor (Mapping): Config of a plain segmentor.
        split_heads (bool): See :class:`ChannelAttention`; where the neck does not say it.

    Raises:
        TypeError: If its neck is no dict.
        ValueError: If it has another neck, or its head does not say which map it reads.
    """
    neck = segmentor.get('neck')
    if not isinstance(neck, (Mapping, type(None))):
        raise TypeError(f'{KEY} must be a dict of settings of {NECK}, got {neck!r}')
    given = dict(neck or {})
    if given.get('type', NECK) != NECK:
        raise ValueError(
            f'{KEY}.type={given["type"]!r}: AllSpark puts its own neck ({NECK}) between backbone '
            'and head; choose a network without a neck'
        )
    head = segmentor.get('decode_head')
    head = head[-1] if isinstance(head, (list, tuple)) else head
    usual = dict(type=NECK, split_heads=split_heads, **_deepest(head or {}))
    if 'in_channels' not in {**usual, **given}:
        raise ValueError(
            f'{KEY}.in_channels: the decode head does not say how many channels the deepest map '
            'has that it reads; set it'
        )
    return {**segmentor, 'neck': {**usual, **given}}


def _deepest(head: Mapping) -> dict:
    """Index and channels of the deepest map that a head reads, as far as its config says them.

    As :func:`~mmseg_ctt.nn.deepest_map.deepest_index` of a head that is built.
    """
    head = head.get('kernel_generate_head', head)
    index = MAP_OF_EVAL.get(head_name(head), head.get('in_index', -1))
    channels = head.get('in_channels')
    several = isinstance(index, (list, tuple))
    known: dict = dict(index=index[-1] if several else index)
    if isinstance(channels, (list, tuple)):
        known['in_channels'] = channels[-1]
    elif channels is not None and not several:
        known['in_channels'] = channels
    return known
