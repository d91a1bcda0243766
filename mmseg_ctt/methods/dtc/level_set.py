# Copyright (c) mmseg_ctt contributors.
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import normal_init
from torch import Tensor, nn


class LevelSetHead(nn.Module):
    """Signed distances of classes from pixel embeddings: 1x1 convolution, up-sampling, tanh.

    It runs in float32 under AMP: the consistency looks at hundredths of its values.

    Args:
        in_channels (int): Of the embedding.
        classes (Sequence[int]): Classes that have a distance, in the order of the channels.
    """

    classes: Tensor

    def __init__(self, in_channels: int, classes: Sequence[int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, len(classes), 1)
        self.register_buffer('classes', torch.tensor(classes), persistent=False)

    def init_weights(self) -> None:
        """As mmseg's classifiers: normal with deviation 0.01, no bias."""
        normal_init(self.conv, mean=0, std=0.01)

    def forward(self, embedding: Tensor, size: Tuple[int, int], align_corners: bool) -> Tensor:
        """Level set of each class.

        Args:
            embedding (Tensor): ``(B, D, h, w)``.
            size (tuple[int, int]): ``(H, W)``.
            align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

        Returns:
            Tensor: ``(B, C, H, W)`` float32 in [-1, 1], negative inside.
        """
        with torch.autocast(embedding.device.type, enabled=False):
            values = self.conv(embedding.float())
            values = F.interpolate(values, size, mode='bilinear', align_corners=align_corners)
            return values.tanh()
