# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Sequence

import torch
import torch.nn as nn
from mmcv.cnn import build_norm_layer
from torch import Tensor

from .member import PixelOutput
from .settings import check_number


class PixelProjection(nn.Module):
    """Projection head of a contrast: convolution, norm, ReLU, dropout, 1x1 convolution.

    It works in training only and always by the statistics of the batch: its batch norm keeps no
    running ones, which would be state that nothing reads and that differs between ranks.

    Args:
        width (int): Channels of the embedding, kept by the first convolution.
        dim (int): ``D``, channels of the projection.
        dropout (float): Ratio of channels that are dropped. Defaults to 0.1 (STPG released code).
        norm_cfg (dict, optional): Of the head whose embedding is read; where that is batch norm
            over all ranks (``SyncBN``), this one is too. Defaults to None: of each rank.
        kernel_size (int): Of the first convolution, odd. Defaults to 3 (U2PL, STPG, ReCo; PixCon:
            1).

    Raises:
        TypeError: If ``dropout`` is no number.
        ValueError: If it lies outside [0, 1).
    """

    def __init__(
        self,
        width: int,
        dim: int,
        dropout: float = 0.1,
        norm_cfg: Optional[dict] = None,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        check_number('model.contrast.dropout', dropout, 0, 1, ends='[)')
        self.inner = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2)
        kind = 'SyncBN' if (norm_cfg or {}).get('type') == 'SyncBN' else 'BN'
        self.norm = build_norm_layer(dict(type=kind, track_running_stats=False), width)[1]
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


def projected_zero_loss(projection: nn.Module, outputs: Sequence[PixelOutput]) -> Tensor:
    """0, attached to all that a contrast would give a gradient; DDP needs it in every iteration."""
    nothing = [output.zero_loss() for output in outputs]
    nothing += [weight.flatten()[:0].float().sum() for weight in projection.parameters()]
    return torch.stack(nothing).sum()


def rows(embedding: Tensor) -> Tensor:
    """``(B, D, h, w)`` to ``(B*h*w, D)``."""
    return embedding.permute(0, 2, 3, 1).flatten(0, 2)
