# Copyright (c) mmseg_ctt contributors.
from typing import Optional

import torch.nn as nn
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import cross_entropy


@MODELS.register_module()
class PixelCrossEntropyLoss(nn.Module):
    """Cross-entropy, mean over labelled pixels, for ``decode_head.loss_decode``.

    The value of mmseg's ``CrossEntropyLoss(avg_non_ignore=True)``, without its host
    synchronisation per call, and 0 instead of NaN when every pixel is ignored.

    Args:
        loss_weight (float): Defaults to 1.0.
        loss_name (str): Key in the log; must begin with ``loss_``. Defaults to 'loss_ce'.
    """

    def __init__(self, loss_weight: float = 1.0, loss_name: str = 'loss_ce') -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self,
        logits: Tensor,
        label: Tensor,
        weight: Optional[Tensor] = None,
        ignore_index: int = 255,
        align_corners: bool = False,
    ) -> Tensor:
        """Loss of ``(B, K, h, w)`` logits against ``(B, H, W)`` int64 labels.

        Logits smaller than the labels are up-sampled bilinearly, at no cost in memory.

        Raises:
            ValueError: If a pixel sampler is configured, whose weights this loss does not take.
        """
        if weight is not None:
            raise ValueError(
                'PixelCrossEntropyLoss takes no pixel weights: remove '
                "decode_head.sampler or use mmseg's CrossEntropyLoss"
            )
        return self.loss_weight * cross_entropy(logits, label, ignore_index, align_corners)
