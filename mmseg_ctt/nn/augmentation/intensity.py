# Copyright (c) mmseg_ctt contributors.
"""Steps that change the values of pixels and leave every pixel in place."""

import math
from typing import Tuple

import torch
from torch import Tensor

from ...functional import cut_mix_mask, gaussian_blur, jitter_colours
from ...functional.colour import grey, is_rgb
from ..settings import check_number, check_range
from .step import AUGMENTATION_STEPS, AugmentationStep
from .view import Context, View, denormalize, normalize


@AUGMENTATION_STEPS.register_module()
class ColorJitter(AugmentationStep):
    """Random brightness, contrast, saturation and hue of de-normalised images in [0, 1].

    Images of other than three channels change in brightness and contrast alone: one factor for all
    bands, so that their ratios stay, and contrast around the mean of each band (ours).

    Args:
        brightness (float): Half range of the factor, at most 1. Defaults to 0.25 (CTT released
            code).
        contrast (float): As ``brightness``.
        saturation (float): As ``brightness``.
        hue (float): Half range of the shift, in turns of the colour circle, at most 0.5.
        prob (float): Ratio of images that are changed. Defaults to 0.8.
    """

    ranges: Tensor

    def __init__(
        self,
        brightness: float = 0.25,
        contrast: float = 0.25,
        saturation: float = 0.25,
        hue: float = 0.25,
        prob: float = 0.8,
    ) -> None:
        super().__init__(prob)
        for name, value in (
            ('brightness', brightness),
            ('contrast', contrast),
            ('saturation', saturation),
        ):
            check_number(self.key(name), value, 0, 1)
        check_number(self.key('hue'), hue, 0, 0.5)
        ranges = torch.tensor([brightness, contrast, saturation, hue])
        self.register_buffer('ranges', ranges, persistent=False)

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 5

    def rgb_only(self) -> str:
        """See :class:`AugmentationStep`."""
        return 'saturation and hue' if bool(self.ranges[2:].any()) else ''

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        change = context.scaled((noise[:, 1:] * 2 - 1) * self.ranges).view(-1, 4, 1, 1, 1)
        plain = denormalize(view.image, context.preprocessor)
        brightness, contrast, saturation = (change[:, :3] + 1).unbind(1)
        plain = jitter_colours(plain, brightness, contrast, saturation, change[:, 3])
        changed = normalize(plain, context.preprocessor)
        return view._replace(image=torch.where(self.chosen(noise), changed, view.image))


@AUGMENTATION_STEPS.register_module()
class RandomGreyscale(AugmentationStep):
    """Images without colour. Images of other than three channels stay as they are.

    Args:
        prob (float): Ratio of images that lose their colour. Defaults to 0.2 (UniMatch).
    """

    def __init__(self, prob: float = 0.2) -> None:
        super().__init__(prob)

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 1

    def rgb_only(self) -> str:
        """See :class:`AugmentationStep`."""
        return 'the whole step'

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        if not is_rgb(view.image):
            return view
        plain = grey(denormalize(view.image, context.preprocessor)).expand_as(view.image)
        changed = normalize(plain.clone(), context.preprocessor)
        return view._replace(image=torch.where(self.chosen(noise), changed, view.image))


@AUGMENTATION_STEPS.register_module()
class GaussianBlur(AugmentationStep):
    """Blur with a random width.

    Args:
        sigma (tuple[float, float]): Range of the Gaussian's standard deviation, pixels. Defaults
            to (0.15, 1.15) (CTT released code).
        prob (float): Ratio of images that are blurred. Defaults to 0.5.
    """

    def __init__(self, sigma: Tuple[float, float] = (0.15, 1.15), prob: float = 0.5) -> None:
        super().__init__(prob)
        check_range(self.key('sigma'), sigma)
        self.sigma = sigma

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 2

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        low, high = self.sigma
        sigma = low + context.scaled((high - low) * noise[:, 1:])
        # three standard deviations hold all of the Gaussian; a wider kernel only costs time
        side = 2 * math.ceil(3 * high) + 1
        blurred = gaussian_blur(view.image, sigma, side)
        return view._replace(image=torch.where(self.chosen(noise), blurred, view.image))


@AUGMENTATION_STEPS.register_module()
class CutOut(AugmentationStep):
    """Cut-out (arXiv 1708.04552): a rectangle of an image becomes the mean colour.

    The pseudo-label of the rectangle stays (ClassMix's and ST++'s strong views).

    Args:
        area (tuple[float, float]): Range of the ratio of the image that the rectangle covers.
            Defaults to (0.02, 0.4) (ST++).
        prob (float): Ratio of images that are changed. Defaults to 0.5.
    """

    def __init__(self, area: Tuple[float, float] = (0.02, 0.4), prob: float = 0.5) -> None:
        super().__init__(prob)
        check_range(self.key('area'), area, 0, 1)
        self.area = area

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 5

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        box = cut_mix_mask(context.label, area=self.area, noise=noise[:, 1:])
        covered = box.unsqueeze(1) & self.chosen(noise)
        return view._replace(image=view.image.masked_fill(covered, 0))  # 0 is the mean
