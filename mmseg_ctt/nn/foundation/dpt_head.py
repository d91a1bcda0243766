# Copyright (c) mmseg_ctt contributors.
from typing import Any, List, Optional, Sequence

import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

KEY = 'model.segmentor.decode_head'
LEVELS = 4


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions of activated maps and a skip connection, without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, D, h, w)`` of the same shape."""
        return x + self.conv2(self.conv1(x.relu()).relu())


class FusionBlock(nn.Module):
    """Adds a finer level, refines the sum, resizes it and projects it.

    Args:
        channels (int): Of all maps.
        skip (bool): Whether there is a finer level to add.
    """

    def __init__(self, channels: int, skip: bool) -> None:
        super().__init__()
        self.skip = ResidualUnit(channels) if skip else None
        self.refine = ResidualUnit(channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, level: Optional[Tensor], size: Sequence[int]) -> Tensor:
        """``(B, D, *size)`` from maps ``(B, D, h, w)``."""
        if self.skip is not None:
            x = x + self.skip(level)
        x = F.interpolate(self.refine(x), list(size), mode='bilinear', align_corners=True)
        return self.project(x)


@MODELS.register_module()
class LightDPTHead(BaseDecodeHead):
    """DPT decoder for four layers of one stride, without normalisation (code of UniMatch V2).

    Each layer is projected by a 1x1 convolution and resized by 4, 2, 1 and 1/2 with learned
    weights; four fusion blocks (https://arxiv.org/abs/2103.13413) add them up from the last to the
    first. Logits and embedding have 8 times the height and width of the layers.

    mmseg's ``DPTHead`` needs the class token beside each layer, which networks of timm do not
    return, and normalises.

    Args:
        in_channels (Sequence[int]): Of the four layers.
        channels (int): Width of the fusion blocks and of the embedding; 64 for ViT-S, 128 for
            ViT-B, 256 for ViT-L in UniMatch V2.
        hidden_channels (Sequence[int]): Widths of the projections; ``(48, 96, 192, 384)`` for
            ViT-S, ``(96, 192, 384, 768)`` for ViT-B, ``(256, 512, 1024, 1024)`` for ViT-L.
        **kwargs: As of mmseg's ``BaseDecodeHead``; ``dropout_ratio`` defaults to 0 and ``init_cfg``
            to None (PyTorch's initialisation), as in the released code.

    Raises:
        ValueError: If there are not four layers.
    """

    stock_hint = (
        'stock mmseg has no equal: train with decode_head.type="UPerHead" and '
        'backbone.final_norm=False, which it has'
    )

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 64,
        hidden_channels: Sequence[int] = (48, 96, 192, 384),
        in_index: Sequence[int] = (0, 1, 2, 3),
        dropout_ratio: float = 0.0,
        init_cfg: Optional[dict] = None,
        **kwargs: Any,
    ) -> None:
        counts = {
            'in_channels': in_channels,
            'hidden_channels': hidden_channels,
            'in_index': in_index,
        }
        for name, given in counts.items():
            if not isinstance(given, (list, tuple)) or len(given) != LEVELS:
                raise ValueError(f'{KEY}.{name}={given!r}: LightDPTHead reads four layers')
        super().__init__(
            list(in_channels),
            channels,
            in_index=list(in_index),
            input_transform='multiple_select',
            dropout_ratio=dropout_ratio,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.resize = nn.ModuleList(
            _resized(*widths, level)
            for level, widths in enumerate(zip(self.in_channels, hidden_channels))
        )
        self.level = nn.ModuleList(
            nn.Conv2d(width, channels, 3, padding=1, bias=False) for width in hidden_channels
        )
        self.fuse = nn.ModuleList(FusionBlock(channels, i < LEVELS - 1) for i in range(LEVELS))
        self.output = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, inputs: List[Tensor]) -> Tensor:
        """``(B, K, 8h, 8w)`` logits from layers ``(B, D, h, w)``."""
        layers = self._transform_inputs(inputs)
        maps = [
            level(resize(layer)) for layer, resize, level in zip(layers, self.resize, self.level)
        ]
        x = maps[-1]
        for i in reversed(range(LEVELS)):
            size = maps[i - 1].shape[2:] if i else [2 * side for side in x.shape[2:]]
            x = self.fuse[i](x, None if i == LEVELS - 1 else maps[i], size)
        return self.cls_seg(self.output(x).relu())


def _resized(width: int, hidden: int, level: int) -> nn.Module:
    """1x1 projection, and resizing by 4, 2, 1 or 1/2."""
    resize: nn.Module = nn.Identity()
    if level < 2:
        side = 4 >> level
        resize = nn.ConvTranspose2d(hidden, hidden, side, stride=side)
    elif level == LEVELS - 1:
        resize = nn.Conv2d(hidden, hidden, 3, stride=2, padding=1)
    return nn.Sequential(nn.Conv2d(width, hidden, 1), resize)
