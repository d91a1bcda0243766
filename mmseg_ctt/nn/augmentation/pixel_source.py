# Copyright (c) mmseg_ctt contributors.
from typing import NamedTuple

from torch import Tensor


class PixelSource(NamedTuple):
    """A mixed batch, said by the image that each of its pixels comes from.

    The images may be those of two batches one after the other, such as unlabelled and labelled
    ones; a pixel stays where it is in its image.

    Attributes:
        source (Tensor): ``(B, H, W)`` int64, number of an image in [0, N).
    """

    source: Tensor

    def apply_mix(self, maps: Tensor) -> Tensor:
        """Maps ``(N, H, W)`` or ``(N, C, H, W)`` of all images as those of the ``B`` mixed ones."""
        if maps.dim() == 3:
            return maps.gather(0, self.source)
        return maps.gather(0, self.source.unsqueeze(1).expand(-1, maps.shape[1], -1, -1))
