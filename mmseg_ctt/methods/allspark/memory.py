# Copyright (c) mmseg_ctt contributors.
from typing import Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import all_gather, get_world_size
from torch import Tensor

from ...nn import settings
from .functional import queue_sources

KEY = 'model.memory'


class ChannelMemory(nn.Module):
    """First-in-first-out queue of ``C`` channels per class (AllSpark, semantic memory).

    All ranks write it alike, with the channels of the unlabelled images of all. A queue has as many
    entries as an image has channels, since the layers of the attention mix them. A channel is
    stored on a grid of fixed size; maps of another size are resized to it and back.

    Buffers:

    - ``features`` ``(K, C, h * w)`` float32, zeros where nothing was written yet (with noise: the
      noise)
    - ``pointer`` ``(K,)`` int64, index that is written next
    - ``count`` ``(K,)`` int64, filled entries, at most ``C``

    Args:
        num_classes (int): ``K``.
        channels (int): ``C`` of the map.
        grid (tuple[int, int]): ``(h, w)`` of a stored channel.
        noise (bool): Whether queues begin with normal noise, which counts as filled (released
            code). Defaults to False.

    Raises:
        TypeError: If a number is none.
        ValueError: If a number lies outside its bounds.
    """

    joint_state = (('features', 'pointer', 'count'),)
    features: Tensor
    pointer: Tensor
    count: Tensor

    def __init__(
        self, num_classes: int, channels: int, grid: Tuple[int, int], noise: bool = False
    ) -> None:
        super().__init__()
        settings.check_choice(f'{KEY}.noise', noise, (True, False))
        for side in grid:
            settings.check_number(f'{KEY}.grid', side, 1, whole=True)
        self.grid, self.size = (int(grid[0]), int(grid[1])), channels
        shape = num_classes, self.size, self.grid[0] * self.grid[1]
        self.register_buffer('features', torch.randn(shape) if noise else torch.zeros(shape))
        self.register_buffer('pointer', torch.zeros(num_classes, dtype=torch.long))
        filled = self.size if noise else 0
        self.register_buffer('count', torch.full((num_classes,), filled, dtype=torch.long))

    @property
    def filled(self) -> Tensor:
        """``(K,)`` bool, classes that have a channel; entries without one are zeros."""
        return self.count > 0

    def fill_ratio(self) -> Tensor:
        """``(K,)`` float32, filled ratio of every queue."""
        return self.count.float() / self.size

    @torch.no_grad()
    def update(self, embedding: Tensor, label: Tensor) -> None:
        """Write the channels of a batch behind the pointers, image by image.

        Args:
            embedding (Tensor): ``(B, C, h', w')``.
            label (Tensor): ``(B, C)`` int64 class of each channel.
        """
        rows = self._resized(embedding.float(), self.grid).flatten(2).contiguous()
        if get_world_size() > 1:
            rows, label = (torch.cat(all_gather(part)) for part in (rows, label))
        rows = rows.flatten(0, 1)
        source, number = queue_sources(label.flatten(), self.pointer, self.size)
        taken = rows[source.clamp(min=0)]
        self.features.copy_(torch.where((source >= 0).unsqueeze(2), taken, self.features))
        self.pointer.add_(number).remainder_(self.size)
        self.count.add_(number).clamp_(max=self.size)

    def channels_of(self, size: Tuple[int, int]) -> Tensor:
        """``(K, C, n)``, all entries on the grid of a feature map.

        Args:
            size (tuple[int, int]): Its height and width.
        """
        return self._resized(self.features.unflatten(2, self.grid), size).flatten(2)

    @staticmethod
    def _resized(maps: Tensor, size: Tuple[int, int]) -> Tensor:
        if tuple(maps.shape[2:]) == tuple(size):
            return maps
        return F.interpolate(maps, size, mode='bilinear', align_corners=False)
