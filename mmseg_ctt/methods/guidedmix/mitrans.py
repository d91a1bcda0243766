# Copyright (c) mmseg_ctt contributors.
from typing import Optional

import torch
import torch.nn as nn
from mmcv.cnn import ConvModule, NonLocal2d
from torch import Tensor

from ...nn import settings


class MITrans(nn.Module):
    """Mutual information transformer of GuidedMix-Net, as the released code writes it.

    A convolution, non-local attention over all pixels, a convolution, and a last one that reads
    the result beside the input. The released code offers it and no published config uses it.

    Args:
        channels (int): Of input and output.
        width (int): Channels in between. Defaults to 128 (released code: 2048).
        reduction (int): Of the attention's keys and queries. Defaults to 2 (released code).
        norm_cfg (dict, optional): Normalisation. Defaults to None: batch norm.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If one is not positive, or ``reduction`` exceeds ``width``.
    """

    def __init__(
        self, channels: int, width: int = 128, reduction: int = 2, norm_cfg: Optional[dict] = None
    ) -> None:
        super().__init__()
        settings.check_number('model.mitrans.width', width, 1, whole=True)
        settings.check_number('model.mitrans.reduction', reduction, 1, width, whole=True)
        norm_cfg = norm_cfg or dict(type='BN')
        self.before = ConvModule(channels, width, 3, padding=1, norm_cfg=norm_cfg)
        self.attention = NonLocal2d(width, reduction=reduction, norm_cfg=norm_cfg)
        self.after = ConvModule(width, width, 3, padding=1, norm_cfg=norm_cfg)
        self.merge = ConvModule(channels + width, channels, 3, padding=1, norm_cfg=norm_cfg)

    def forward(self, feature: Tensor) -> Tensor:
        """``(B, C, h, w)`` to the same shape."""
        context = self.after(self.attention(self.before(feature)))
        return self.merge(torch.cat([feature, context], dim=1))
