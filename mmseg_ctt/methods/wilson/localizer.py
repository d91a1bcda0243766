# Copyright (c) mmseg_ctt contributors.
from typing import Any, Mapping, Optional

import torch
from mmcv.cnn import ConvModule
from mmengine.model import kaiming_init, normal_init
from torch import Tensor, nn

from ...nn.member import eval_mode


class Localizer(nn.Module):
    """Head of the training alone that finds classes by tags: two 3x3 convolutions, a 1x1.

    Args:
        in_channels (int): Of the encoder's last feature map.
        num_classes (int): All classes, the background too.
        channels (int): Of the convolutions. Defaults to 256.
        norm_cfg (dict, optional): Defaults to ``dict(type='BN')``. The method gives that of the
            decode head where the config says nothing.
        act_cfg (dict, optional): Defaults to leaky ReLU of slope 0.01 (paper, in-place ABN).
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int = 256,
        norm_cfg: Optional[Mapping[str, Any]] = None,
        act_cfg: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__()
        norm = dict(norm_cfg or dict(type='BN'))
        act = dict(act_cfg or dict(type='LeakyReLU', negative_slope=0.01))
        widths = (in_channels, channels)
        self.convs = nn.Sequential(
            *(
                ConvModule(width, channels, 3, padding=1, norm_cfg=norm, act_cfg=act)
                for width in widths
            )
        )
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)

    def init_weights(self) -> None:
        """Convolutions as mmcv's, the classifier as mmseg's: deviation 0.01, no bias."""
        for module in self.convs:
            kaiming_init(module.conv)
        normal_init(self.conv_seg, mean=0, std=0.01)

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(B, T, h, w)`` float32 of feature maps ``(B, D, h, w)``."""
        return self.conv_seg(self.convs(features)).float()

    @torch.no_grad()
    def predict(self, features: Tensor) -> Tensor:
        """The same in eval mode (running statistics), without gradient or any change of state."""
        with eval_mode(self):
            return self(features.detach())
