# Copyright (c) mmseg_ctt contributors.
import copy
from contextlib import contextmanager
from typing import Any, Iterator, List

import torch.nn as nn
from torch import Tensor

from ...nn.layer_inputs import layer_inputs


class SecondHead(nn.Module):
    """Bottleneck and classifier of an ASPP head once more, for features that were mixed.

    Args:
        head (nn.Module): Has ``bottleneck``, which reads the branches side by side, and
            ``conv_seg``.

    Raises:
        ValueError: If it has no bottleneck.
    """

    bottleneck: Any
    dropout: nn.Module
    classifier: nn.Module

    def __init__(self, head: Any) -> None:
        super().__init__()
        if not hasattr(head, 'bottleneck'):
            raise ValueError(
                "model.mode='released', the default of GuidedMixNet, mixes what "
                f'decode_head.bottleneck reads, which {type(head).__name__} does not have: use an '
                "ASPP head, or set model.mode='paper'"
            )
        self.bottleneck = copy.deepcopy(head.bottleneck)
        self.dropout = copy.deepcopy(head.dropout) or nn.Identity()  # as the head's own cls_seg
        self.classifier = copy.deepcopy(head.conv_seg)

    @property
    def in_channels(self) -> int:
        """Width of the mixed features."""
        return getattr(self.bottleneck, 'conv', self.bottleneck).in_channels

    def forward(self, feature: Tensor) -> Tensor:
        """``(B, in_channels, h, w)`` to logits ``(B, K, h, w)``."""
        return self.classifier(self.dropout(self.bottleneck(feature)))


@contextmanager
def bottleneck_inputs(head: Any) -> Iterator[List[Tensor]]:
    """What the bottleneck of a head reads in the ``with`` block, one tensor a pass."""
    if not hasattr(head, 'bottleneck'):
        yield []
        return
    with layer_inputs(head.bottleneck) as read:
        yield read
