# Copyright (c) mmseg_ctt contributors.
from typing import List, NamedTuple, Optional, Tuple

import torch.nn as nn
from torch import Tensor

from ...functional import downsample_nearest
from ...nn import settings
from ...nn.images import Images
from ...nn.rng import sample_noise
from .functional import crop_windows, flip_back, overlapping_windows

TRIES = 16  # draws of the second window; released code: 50


class Crop(NamedTuple):
    """One crop of each image of a batch.

    Attributes:
        images (Images): ``(B, C, h, w)``, with the samples of the whole images.
        corner (Tensor): ``(B, 2)`` int64, top and left in the whole images.
        flip (Tensor): ``(B,)`` bool, mirrored left to right.
        stride (int): The crops of an image lie a multiple of it apart, in pixels.
        valid (Tensor, optional): ``(B, h, w)`` bool, mirrored as the images, False in the padding;
            None where nothing was padded.
    """

    images: Images
    corner: Tensor
    flip: Tensor
    stride: int
    valid: Optional[Tensor]

    def unflipped(self, maps: Tensor) -> Tensor:
        """``(B, C, h', w')`` maps of the crops as they lie in the whole images."""
        return flip_back(maps, self.flip)

    def valid_at(self, size: Tuple[int, int]) -> Optional[Tensor]:
        """``(B, h', w')`` bool as it lies in the whole images, at another resolution."""
        if self.valid is None:
            return None
        return flip_back(downsample_nearest(self.valid, size).unsqueeze(1), self.flip).squeeze(1)


class OverlappingCrops(nn.Module):
    """Two overlapping crops of each image, made on the device (CAC section 3.2).

    The released code cuts both in the pipeline, from images that are larger by a random factor.

    Args:
        size (float): Side of a crop over that of the image. Defaults to 0.75.
        stride (int): The crops lie a multiple of it apart, in pixels; it must be a multiple of the
            stride of the contrasted features, which is that of the head times ``contrast.pool``.
            Defaults to 8 (released code).
        iou (tuple[float, float]): Range of the intersection over union of the crops. Defaults to
            (0.1, 1) (released code).
        flip (float): Ratio of crops that are mirrored left to right. Defaults to 0.5 (released
            code).

    Raises:
        TypeError: If a setting is of another type.
        ValueError: If a setting is out of range.
    """

    sections = dict(forward='strong view')  # for benchmarks

    def __init__(
        self,
        size: float = 0.75,
        stride: int = 8,
        iou: Tuple[float, float] = (0.1, 1.0),
        flip: float = 0.5,
    ) -> None:
        super().__init__()
        settings.check_number('model.crops.size', size, 0, 1, ends='(]')
        settings.check_number('model.crops.stride', stride, 1, whole=True)
        settings.check_range('model.crops.iou', iou, 0, 1)
        settings.check_number('model.crops.flip', flip, 0, 1)
        self.size, self.stride, self.iou, self.flip = size, stride, (iou[0], iou[1]), flip

    def forward(self, images: Images) -> List[Crop]:
        """The two crops of every image.

        Raises:
            ValueError: If an image is smaller than ``stride``.
        """
        window = (self._side(images.size[0]), self._side(images.size[1]))
        device = images.image.device
        noise = sample_noise(images.draws, 2 * (TRIES + 1) + 2, 'cac/crops', device)
        places = noise[:, 2:].unflatten(1, (-1, 2))
        corners = overlapping_windows(places, images.size, window, self.stride, self.iou)
        valid = images.valid()
        valid = valid if valid is None else valid.unsqueeze(1)
        crops = []
        for corner, chance in zip(corners.unbind(1), noise[:, :2].unbind(1)):
            flip = chance < self.flip
            image = crop_windows(images.image, corner, window, flip)
            mask = None if valid is None else crop_windows(valid, corner, window, flip)[:, 0]
            crops.append(Crop(Images(image, images.samples), corner, flip, self.stride, mask))
        return crops

    def _side(self, whole: int) -> int:
        """Side of a crop, a multiple of the stride."""
        most = whole // self.stride
        if not most:
            raise ValueError(
                f'model.crops.stride={self.stride} exceeds a side of the images, which is {whole}: '
                'lower it or enlarge sizes.crop_size'
            )
        return min(max(1, round(self.size * whole / self.stride)), most) * self.stride
