# Copyright (c) mmseg_ctt contributors.
import torch.nn as nn
from torch import Tensor


class PixelProjection(nn.Module):
    """Projection head of a contrast: 3x3 convolution, norm, ReLU, dropout, 1x1 convolution.

    It works in training only and always by the statistics of the batch: its batch norm keeps no
    running ones, which would be state that nothing reads and that differs between ranks.

    Args:
        width (int): Channels of the embedding, kept by the first convolution.
        dim (int): ``D``, channels of the projection.
        dropout (float): Share of channels that are dropped. Defaults to 0.1 (STPG released code).
    """

    def __init__(self, width: int, dim: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width, track_running_stats=False)  # `sync_bn` converts it
        self.dropout = nn.Dropout2d(dropout)
        self.outer = nn.Conv2d(width, dim, 1)

    def forward(self, embedding: Tensor, drop: bool = True) -> Tensor:
        """``(B, width, h, w)`` to ``(B, D, h, w)``.

        Args:
            embedding (Tensor): Of a member.
            drop (bool): Whether channels are dropped. Defaults to True.
        """
        hidden = self.norm(self.inner(embedding)).relu()
        return self.outer(self.dropout(hidden) if drop else hidden)
