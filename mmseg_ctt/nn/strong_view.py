# Copyright (c) mmseg_ctt contributors.
import math
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import class_mix_mask, cut_mix_mask, gaussian_blur, jitter_colours, mix
from .random import Draw, counter_noise

MIXES = ('class', 'cut', None)
NUM_SCALARS = 12  # columns of noise before the class keys


class View(NamedTuple):
    """Strongly augmented images ``(B, 3, H, W)`` and the mask ``(B, H, W)`` they were mixed by.

    The mask is None where nothing was mixed.
    """

    image: Tensor
    mask: Optional[Tensor]

    def follow(self, target: Tensor, batch_dim: int = 0) -> Tensor:
        """Mix maps ``(B, H, W)`` or ``(B, C, H, W)`` as the images were.

        With ``batch_dim=1`` they are the maps ``(T, B, H, W)`` of several teachers.
        """
        return target if self.mask is None else mix(target, self.mask, batch_dim=batch_dim)


@MODELS.register_module()
class StrongView(nn.Module):
    """The strong view of an unlabelled batch, made on the device of the batch.

    Mixing with the batch neighbour, then colour jitter, then blur. Every random number belongs
    to the sample (seed, draw number); jitter and blur are drawn per image (the released code
    draws once per batch). Colours are changed on de-normalised images in [0, 1].

    Args:
        mix (str, optional): ``'class'`` (ClassMix), ``'cut'`` (CutMix) or None.
            Defaults to 'class'.
        mix_prob (float): Share of images that are mixed with their neighbour. Defaults to 1.
        jitter (float): Half range of brightness, contrast, saturation and hue factors
            (hue in turns, at most 0.5). Defaults to 0.25 (released code).
        jitter_prob (float): Share of images whose colours change. Defaults to 0.8.
        blur_sigma (tuple[float, float]): Range of the Gaussian, pixels. Defaults to (0.15, 1.15).
        blur_prob (float): Share of images that are blurred. Defaults to 0.5.

    Raises:
        ValueError: If ``mix`` is unknown or a probability lies outside [0, 1].
    """

    def __init__(
        self,
        mix: Optional[str] = 'class',
        mix_prob: float = 1.0,
        jitter: float = 0.25,
        jitter_prob: float = 0.8,
        blur_sigma: Tuple[float, float] = (0.15, 1.15),
        blur_prob: float = 0.5,
    ) -> None:
        super().__init__()
        if mix not in MIXES:
            raise ValueError(f'model.strong_view.mix must be one of {MIXES}, got {mix!r}')
        for name, value in (
            ('mix_prob', mix_prob),
            ('jitter_prob', jitter_prob),
            ('blur_prob', blur_prob),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f'model.strong_view.{name} must be in [0, 1], got {value}')
        self.mix, self.mix_prob = mix, mix_prob
        self.jitter, self.jitter_prob = jitter, jitter_prob
        self.blur_sigma, self.blur_prob = blur_sigma, blur_prob

    def forward(
        self,
        image: Tensor,
        label: Tensor,
        draws: Sequence[Draw],
        colour: nn.Module,
        stream: int = 0,
        num_classes: int = 255,
    ) -> View:
        """Augment one batch.

        Args:
            image (Tensor): ``(B, 3, H, W)``, normalised.
            label (Tensor): ``(B, H, W)`` int64 pseudo-labels that ClassMix cuts along.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            colour (nn.Module): The data preprocessor, for its mean, std and channel order.
            stream (int): Tells several views of one image apart. Defaults to 0.
            num_classes (int): ``K``. Defaults to 255.

        Returns:
            View: Images and the mask they were mixed by.

        Raises:
            ValueError: If there is one image, and mixing is all that is to be done.
        """
        if len(image) < 2 and self.mixes_only:
            raise ValueError(
                f'model.strong_view.mix={self.mix!r} mixes the unlabelled images of a '
                'batch, and there is one: raise train_dataloader.batch_size so that '
                'each GPU has two, or set model.strong_view.jitter_prob'
            )
        noise = counter_noise(draws, NUM_SCALARS + num_classes, stream, image.device)
        mask = self._mask(label, noise, num_classes)
        if mask is not None:
            image = mix(image, mask)
        image = self._jitter(image, noise[:, 4:9], colour)
        return View(self._blur(image, noise[:, 9:11]), mask)

    @property
    def mixes_only(self) -> bool:
        """Whether the view of an image that is mixed with none is the image itself."""
        coloured = self.jitter > 0 and self.jitter_prob > 0
        return self.mix is not None and not coloured and self.blur_prob == 0

    def _mask(self, label: Tensor, noise: Tensor, num_classes: int) -> Optional[Tensor]:
        if self.mix == 'class':
            mask = class_mix_mask(label, keys=noise[:, NUM_SCALARS:], num_classes=num_classes)
        elif self.mix == 'cut':
            mask = cut_mix_mask(label, noise=noise[:, :4])
        else:
            return None
        if self.mix_prob == 1:
            return mask
        return mask | (noise[:, 11] >= self.mix_prob).view(-1, 1, 1)  # all True: as it was

    def _jitter(self, image: Tensor, noise: Tensor, colour: nn.Module) -> Tensor:
        if self.jitter == 0 or self.jitter_prob == 0:
            return image
        mean, std = _statistics(colour, image)
        rgb = getattr(colour, 'channel_conversion', True)
        plain = (image * std).add_(mean).div_(255).clamp_(0, 1)
        plain = plain if rgb else plain.flip(1)
        factor = ((noise[:, :4] * 2 - 1) * self.jitter).view(-1, 4, 1, 1, 1)
        plain = jitter_colours(plain, *(factor[:, :3] + 1).unbind(1), factor[:, 3])
        plain = plain if rgb else plain.flip(1)
        changed = (noise[:, 4] < self.jitter_prob).view(-1, 1, 1, 1)
        return torch.where(changed, plain.mul_(255).sub_(mean).div_(std), image)

    def _blur(self, image: Tensor, noise: Tensor) -> Tensor:
        if self.blur_prob == 0:
            return image
        low, high = self.blur_sigma
        sigma = low + (high - low) * noise[:, :1]
        # three standard deviations hold all of the Gaussian; a wider kernel only costs time
        side = 2 * math.ceil(3 * high) + 1
        blurred = gaussian_blur(image, sigma, side)
        return torch.where((noise[:, 1] < self.blur_prob).view(-1, 1, 1, 1), blurred, image)


def _statistics(colour: nn.Module, image: Tensor) -> Tuple[Tensor, Tensor]:
    if not hasattr(colour, 'mean'):
        return image.new_zeros(1), image.new_ones(1)
    return colour.mean, colour.std
