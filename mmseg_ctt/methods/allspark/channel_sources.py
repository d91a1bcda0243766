# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Tuple

import torch
from torch import Tensor

from .functional import channel_classes
from .memory import ChannelMemory
from .neck import ChannelAttention


class ChannelSources:
    """Channels that the images of one step read: rules of :meth:`AllSparkNeck.reading`.

    Unlabelled images read their own channels, which are written to the memory before anything is
    read from it. Labelled images read the memory, or before its start the unlabelled images of the
    batch on this rank.

    Args:
        memory (ChannelMemory): Of the model; a pass of unlabelled images updates it.
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
        self.unlabeled: Optional[Tensor] = None  # (B, C, n), embedding of the unlabelled images

    def of_joint_pass(
        self, attention: ChannelAttention, embedding: Tensor, size: Tuple[int, int]
    ) -> Tensor:
        """Of a pass of the labelled and the unlabelled images, in this order."""
        number = len(self.scores)
        labeled, unlabeled = embedding.split([len(embedding) - number, number])
        own = self.of_unlabeled(attention, unlabeled, size)
        return torch.cat([self.of_labeled(attention, labeled, size), own])

    def of_unlabeled(
        self, attention: ChannelAttention, embedding: Tensor, size: Tuple[int, int]
    ) -> Tensor:
        """Of a pass of the unlabelled images, which must come first."""
        maps = embedding.detach().unflatten(2, size)
        self.memory.update(maps, channel_classes(self.scores, maps, self.valid))
        self.unlabeled = embedding
        return attention.own(embedding)

    def of_labeled(
        self, attention: ChannelAttention, embedding: Tensor, size: Tuple[int, int]
    ) -> Tensor:
        """Of a pass of the labelled images."""
        assert self.unlabeled is not None
        if not self.from_memory:
            return attention.other(embedding, self.unlabeled.unsqueeze(0))
        source = self.memory.channels_of(size).to(embedding.dtype)
        return attention.other(embedding, source.unsqueeze(0), self.memory.filled)
