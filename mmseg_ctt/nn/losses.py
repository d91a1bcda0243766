# Copyright (c) mmseg_ctt contributors.
from typing import List, Optional, Union

import torch
import torch.nn as nn
from mmseg.models.losses.utils import get_class_weight
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import cross_entropy


@MODELS.register_module()
class PixelCrossEntropyLoss(nn.Module):
    """Cross-entropy, mean over labelled pixels, for ``decode_head.loss_decode``.

    The value of mmseg's ``CrossEntropyLoss(avg_non_ignore=True)``, without its host
    synchronisation per call, and 0 instead of NaN when every pixel is ignored. With class weights
    it is the weighted mean, as PyTorch's; mmseg's cannot have ignored pixels then.

    Args:
        loss_weight (float): Defaults to 1.0.
        loss_name (str): Key in the log; must begin with ``loss_``. Defaults to 'loss_ce'.
        class_weight (list[float] | str, optional): One weight for each class, or a file with such
            a list, as in mmseg. Defaults to None: 1.
    """

    weight_of_class: Optional[Tensor]

    def __init__(
        self,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
        class_weight: Union[None, str, List[float]] = None,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.class_weight = get_class_weight(class_weight)
        given = None if self.class_weight is None else torch.tensor(self.class_weight)
        self.register_buffer('weight_of_class', given, persistent=False)  # not in checkpoints

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
        return self.loss_weight * cross_entropy(
            logits, label, ignore_index, align_corners, self.weight_of_class
        )
