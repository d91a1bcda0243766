# Copyright (c) mmseg_ctt contributors.
from typing import Optional

import torch.nn as nn
from mmseg.registry import MODELS
from torch import Tensor

from ..functional.sigmoid_cross_entropy import sigmoid_cross_entropy
from .losses import refuse_sampler


@MODELS.register_module()
class PixelSigmoidLoss(nn.Module):
    """Binary cross-entropy of every class, for ``decode_head.loss_decode``: step 0 of WILSON.

    It is summed over the classes; mmseg's ``CrossEntropyLoss(use_sigmoid=True)`` is the mean over
    them. Predictions are the class with the highest logit.

    Args:
        loss_weight (float): Defaults to 1.0.
        loss_name (str): Key in the log; must begin with ``loss_``. Defaults to 'loss_bce'.
        void_as_background (bool): Train pixels of the ignored label, and the padding, as class 0
            (label maps of the released code). Defaults to False: they do not count.
        over_all (bool): Divide by the number of all pixels, ignored ones too (released code).
            Defaults to False: by that of the pixels with a label.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_bce',
        void_as_background: bool = False,
        over_all: bool = False,
    ) -> None:
        super().__init__()
        self.loss_weight, self.loss_name = loss_weight, loss_name
        self.void_as_background, self.over_all = void_as_background, over_all

    def forward(
        self,
        logits: Tensor,
        label: Tensor,
        weight: Optional[Tensor] = None,
        ignore_index: int = 255,
        align_corners: bool = False,
    ) -> Tensor:
        """Loss of ``(B, K, h, w)`` logits against ``(B, H, W)`` int64 labels.

        Raises:
            ValueError: If a pixel sampler is configured, whose weights this loss does not take.
        """
        refuse_sampler(self, weight)
        if self.void_as_background:
            label = label.masked_fill(label == ignore_index, 0)
        return self.loss_weight * sigmoid_cross_entropy(
            logits, label, ignore_index, align_corners, self.over_all
        )
