# Copyright (c) mmseg_ctt contributors.
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor

from ...functional import downsample_nearest
from ...functional.random_index import random_index
from ...nn import settings
from ...nn.padding import valid_at
from ...nn.rng import Draw, sample_noise
from .functional import pixel_correlation, region_masks, spread_logits

KEY = 'model.correlation'


class CorrelationInput(NamedTuple):
    """What :class:`Correlation` reads of the images of a batch.

    Attributes:
        feature (Tensor): ``(B, C, h, w)``, the deepest map.
        logits (Tensor): ``(B, K, h', w')``.
        valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding; None without padding.
    """

    feature: Tensor
    logits: Tensor
    valid: Optional[Tensor]


class Correlation(nn.Module):
    """Correlation of the pixels of an image, which spreads logits and cuts out regions.

    A projection of the deepest features (3x3 convolution, norm, ReLU, dropout of channels), and
    two 1x1 convolutions to ``K`` channels, whose products are the correlation. It works in training
    only: its batch norm keeps no running statistics, and no member contains it.

    Args:
        in_channels (int): Of the deepest feature map that the head reads.
        num_classes (int): ``K``.
        norm_cfg (dict, optional): Of the head; where that is batch norm over all ranks
            (``SyncBN``), this one is too.
        align_corners (bool): Of the head.
        width (int): Channels of the projection. Defaults to 256 (released code).
        dropout (float): Ratio of its channels that are dropped, below 1. Defaults to 0.1 (released
            code).
        num_regions (int): ``n``, regions drawn for each image. Defaults to 128 (released code).

    Raises:
        TypeError: If a number is none.
        ValueError: If a number lies outside its bounds.
    """

    sections = dict(forward='students forward', regions='pseudo-labels')  # for benchmarks

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        norm_cfg: Optional[dict] = None,
        align_corners: bool = False,
        width: int = 256,
        dropout: float = 0.1,
        num_regions: int = 128,
    ) -> None:
        super().__init__()
        settings.check_number(f'{KEY}.width', width, 1, whole=True)
        settings.check_number(f'{KEY}.num_regions', num_regions, 1, whole=True)
        settings.check_number(f'{KEY}.dropout', dropout, 0, 1)
        self.align_corners, self.num_regions = align_corners, num_regions
        self.inner = nn.Conv2d(in_channels, width, 3, padding=1)
        kind = 'SyncBN' if (norm_cfg or {}).get('type') == 'SyncBN' else 'BN'
        self.norm = build_norm_layer(dict(type=kind, track_running_stats=False), width)[1]
        self.dropout = nn.Dropout2d(dropout)
        self.query = nn.Conv2d(width, num_classes, 1)
        self.key = nn.Conv2d(width, num_classes, 1)

    def forward(
        self,
        feature: Tensor,
        logits: Tensor,
        valid: Optional[Tensor] = None,
        transposed: bool = False,
    ) -> Tuple[Tensor, Tensor]:
        """Spread logits over the pixels that correlate.

        Args:
            feature (Tensor): ``(B, C, h, w)``. Receives the gradient.
            logits (Tensor): ``(B, K, h', w')`` of the head. Receives none.
            valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding. Defaults to None.
            transposed (bool): See :func:`spread_logits`. Defaults to False.

        Returns:
            tuple[Tensor, Tensor]: ``(B, K, h, w)`` logits and the ``(B, h*w, h, w)`` correlation.
        """
        size = (feature.shape[2], feature.shape[3])
        cells = valid_at(valid, size)
        hidden = self.dropout(self.norm(self.inner(feature)).relu())
        correlation = pixel_correlation(self.query(hidden), self.key(hidden), cells)
        logits = F.interpolate(
            logits.detach().float(), size, mode='bilinear', align_corners=self.align_corners
        )
        return spread_logits(logits, correlation, transposed, cells), correlation

    @torch.no_grad()
    def regions(
        self,
        correlation: Tensor,
        draws: Sequence[Draw],
        size: Tuple[int, int],
        valid: Optional[Tensor] = None,
    ) -> Tensor:
        """Regions around random pixels of each image.

        Args:
            correlation (Tensor): ``(B, h*w, h, w)`` of :meth:`forward`.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            size (tuple[int, int]): ``(H, W)`` of the regions.
            valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding. Defaults to None.

        Returns:
            Tensor: ``(B, n, H, W)`` bool.
        """
        noise = sample_noise(draws, self.num_regions, 'corrmatch/regions', correlation.device)
        if valid is None:
            known = torch.ones_like(correlation[:, :, 0, 0], dtype=torch.bool)
        else:
            known = downsample_nearest(valid, correlation.shape[2:]).flatten(1)
        index = random_index(known, noise)
        return region_masks(correlation, index, size, self.align_corners, valid)
