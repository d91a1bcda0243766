# Copyright (c) mmseg_ctt contributors.
from typing import Optional

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..functional import squared_dice_loss, two_class_logits
from .ranks import joint_sum


@MODELS.register_module()
class SquaredDiceLoss(nn.Module):
    """Dice with squared denominator over the whole batch, for ``decode_head.loss_decode``.

    mmseg's ``DiceLoss`` is a mean over images, and its ``ignore_index`` leaves out a class; here
    the sums run over the images of all processes, and ignored pixels are left out. Heads of one
    channel (``out_channels=1``) are read through a sigmoid, others through a softmax.

    Args:
        background (int, optional): Class that is left out of the mean. Defaults to None: none.
        smooth (float): See :func:`squared_dice_loss`. Defaults to 1e-5.
        loss_weight (float): Defaults to 1.0.
        loss_name (str): Key in the log; must begin with ``loss_``. Defaults to 'loss_dice'.

    Raises:
        ValueError: If ``smooth`` is not positive.
    """

    def __init__(
        self,
        background: Optional[int] = None,
        smooth: float = 1e-5,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_dice',
    ) -> None:
        super().__init__()
        if smooth <= 0:
            raise ValueError(f'SquaredDiceLoss.smooth must be positive, got {smooth}')
        self.background, self.smooth = background, smooth
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(
        self,
        logits: Tensor,
        label: Tensor,
        weight: Optional[Tensor] = None,
        ignore_index: int = 255,
    ) -> Tensor:
        """Loss of ``(B, K, H, W)`` logits against ``(B, H, W)`` int64 labels.

        Args:
            logits (Tensor): Of the head, at the size of the labels.
            label (Tensor): Class of each pixel; a head of one channel knows 0 and 1.
            weight (Tensor, optional): ``(B, H, W)`` pixel weights. Defaults to None: 1.
            ignore_index (int): Label of ignored pixels. Defaults to 255.
        """
        left_out = 0 if logits.shape[1] == 1 else self.background
        probability = two_class_logits(logits.float()).softmax(dim=1)
        numbers = torch.arange(probability.shape[1], device=label.device)
        target = label.unsqueeze(1) == numbers.view(-1, 1, 1)
        kept = label != ignore_index
        if left_out is not None:
            probability, target = (
                torch.cat([maps[:, :left_out], maps[:, left_out + 1 :]], dim=1)
                for maps in (probability, target)
            )
        loss = squared_dice_loss(
            probability, target, kept if weight is None else kept * weight, self.smooth, joint_sum
        )
        return self.loss_weight * loss
