# Copyright (c) mmseg_ctt contributors.
from typing import NamedTuple, Optional

from torch import Tensor

from ...nn.images import Images
from ...nn.member import PixelOutput


class Passes(NamedTuple):
    """Outputs of a step for its images.

    Attributes:
        student (PixelOutput): Of the student.
        old (PixelOutput): Of the old network.
        logits (Tensor): ``(B, T, h, w)`` of the localiser.
        images (Images): The images.
        tags (Tensor): ``(B, T)``.
    """

    student: PixelOutput
    old: PixelOutput
    logits: Tensor
    images: Images
    tags: Tensor

    def valid(self, like: Tensor) -> Optional[Tensor]:
        """``(B, h, w)`` bool at the size of a map, False in the padding; None without padding."""
        return self.images.valid(like.shape[2:])
