# Copyright (c) mmseg_ctt contributors.
"""The two decoders that papers call DeepLabV2."""

from typing import Any, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import SELayer
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """The plain decoder: the sum of dilated 3x3 classifiers on the last feature map.

    It has no pixel embedding, so a 1x1 projection is added for methods that contrast pixels.

    Args:
        dilations (Sequence[int]): Of the classifiers. Defaults to (6, 12, 18, 24).
        branches (int, optional): Classifiers that are used. The popular re-implementations
            (AdvSemiSeg, ClassMix, SemiSeg-Contrastive) return inside the summing loop and use 2.
            Defaults to None: all.
        embedding_dim (int, optional): Width of the projection. None leaves it out, as purely
            supervised training wants; the embedding is then the feature map itself.
            Defaults to 256.
        kwargs: As :class:`BaseDecodeHead`, without ``channels``.

    Raises:
        ValueError: If ``branches`` exceeds the number of dilations.
    """

    def __init__(
        self,
        dilations: Sequence[int] = (6, 12, 18, 24),
        branches: Optional[int] = None,
        embedding_dim: Optional[int] = 256,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault('init_cfg', dict(type='Normal', std=0.01, layer='Conv2d'))
        kwargs.setdefault('channels', 1)  # unused: there is no layer before the classifiers
        super().__init__(**kwargs)
        branches = len(dilations) if branches is None else branches
        if not 1 <= branches <= len(dilations):
            raise ValueError(f'decode_head.branches={branches} with {len(dilations)} dilations')
        self.embedding_dim = embedding_dim or self.in_channels
        self.conv_seg = nn.ModuleList(
            [
                nn.Conv2d(self.in_channels, self.out_channels, 3, padding=d, dilation=d)
                for d in dilations[:branches]
            ]
        )
        self.projection = None
        if embedding_dim is not None:
            self.projection = nn.Conv2d(self.in_channels, embedding_dim, 1)

    def forward(self, inputs: Tuple[Tensor]) -> Tensor:
        """Logits ``(B, K, h, w)``."""
        x = self._transform_inputs(inputs)
        return sum(classifier(x) for classifier in self.conv_seg)

    def forward_with_embedding(self, inputs: Tuple[Tensor]) -> Tuple[Tensor, Tensor]:
        """Logits and the (projected) feature map ``(B, embedding_dim, h, w)``."""
        x = self._transform_inputs(inputs)
        return self(inputs), x if self.projection is None else self.projection(x)


@MODELS.register_module()
class DeepLabV2ASPPHead(BaseDecodeHead):
    """The decoder of CTT's released code (ProDA's): ASPP, squeeze-excitation, GroupNorm.

    One 1x1 and four dilated 3x3 branches to ``channels``, concatenation, channel attention,
    3x3 fusion, channel dropout, 1x1 classifier without bias.

    Args:
        dilations (Sequence[int]): Of the 3x3 branches. Defaults to (6, 12, 18, 24).
        se_ratio (int): Reduction of the channel attention. Defaults to 16.
        kwargs: As :class:`BaseDecodeHead`; ``channels`` (256) must be a multiple of 32.
    """

    def __init__(
        self, dilations: Sequence[int] = (6, 12, 18, 24), se_ratio: int = 16, **kwargs: Any
    ) -> None:
        kwargs.setdefault('channels', 256)
        kwargs.setdefault(
            'init_cfg', dict(type='Normal', std=0.001, override=dict(name='conv_seg'))
        )
        super().__init__(**kwargs)
        norm = dict(type='GN', num_groups=32)
        self.branches = nn.ModuleList(
            [
                ConvModule(
                    self.in_channels,
                    self.channels,
                    kernel,
                    padding=d if kernel > 1 else 0,
                    dilation=d,
                    bias=True,
                    norm_cfg=norm,
                )
                for kernel, d in [(1, 1), *((3, d) for d in dilations)]
            ]
        )
        width = self.channels * len(self.branches)
        self.attention = SELayer(width, se_ratio, act_cfg=(dict(type='ReLU'), dict(type='Sigmoid')))
        self.fusion = ConvModule(
            width, self.channels, 3, padding=1, bias=True, norm_cfg=norm, act_cfg=None
        )
        self.conv_seg = nn.Conv2d(self.channels, self.out_channels, 1, bias=False)

    def forward(self, inputs: Tuple[Tensor]) -> Tensor:
        """Logits ``(B, K, h, w)``."""
        x = self._transform_inputs(inputs)
        x = torch.cat([branch(x) for branch in self.branches], dim=1)
        return self.cls_seg(self.fusion(self.attention(x)))
