# Copyright (c) mmseg_ctt contributors.
"""Steps that change the values of pixels and leave every pixel in place."""

import math
from typing import Tuple

import numpy as np
from torch import Tensor

from ...functional import jitter_colours
from ...functional.colour import gaussian_exponent, grey, is_rgb, separable_blur
from ...functional.cut_mix_boxes import random_boxes
from ..rng import sent_to
from ..settings import check_number, check_range
from .boxes import number_of_boxes, painted_sides
from .step import AUGMENTATION_STEPS, PixelStep
from .view import Context, denormalize, normalize

NEUTRAL = np.array([1, 1, 1, 0], np.float32)  # brightness, contrast, saturation, hue


@AUGMENTATION_STEPS.register_module()
class ColorJitter(PixelStep):
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
        self.ranges = np.array([brightness, contrast, saturation, hue], np.float32)

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 5

    def rgb_only(self) -> str:
        """See :class:`AugmentationStep`."""
        return 'saturation and hue' if bool(self.ranges[2:].any()) else ''

    def change(self, image: Tensor, noise: np.ndarray, context: Context) -> Tensor:
        """See :class:`PixelStep`."""
        amounts = context.amounts((noise * 2 - 1) * self.ranges, NEUTRAL)
        brightness, contrast, saturation, hue = amounts.view(-1, 4, 1, 1, 1).unbind(1)
        plain = denormalize(image, context.preprocessor)
        plain = jitter_colours(plain, brightness, contrast, saturation, hue)
        return normalize(plain, context.preprocessor)


@AUGMENTATION_STEPS.register_module()
class RandomGreyscale(PixelStep):
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

    def change(self, image: Tensor, noise: np.ndarray, context: Context) -> Tensor:
        """See :class:`PixelStep`."""
        if not is_rgb(image):
            return image
        plain = grey(denormalize(image, context.preprocessor))
        made = normalize(plain, context.preprocessor)
        # mean and std of one number, or none, leave one channel
        return made if made.shape == image.shape else made.expand_as(image)


@AUGMENTATION_STEPS.register_module()
class GaussianBlur(PixelStep):
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

    def change(self, image: Tensor, noise: np.ndarray, context: Context) -> Tensor:
        """See :class:`PixelStep`."""
        low, high = self.sigma
        wider, channels = (high - low) * noise, image.shape[1]
        # three standard deviations hold all of the Gaussian; a wider kernel only costs time
        reach = math.ceil(3 * high)
        offset = np.arange(-reach, reach + 1, dtype=np.float32)
        if context.strength is None:
            exponent = gaussian_exponent(offset, low + wider).repeat(channels, 0)
            exponent = sent_to(exponent, image.device)
        else:
            sigma = context.amounts(wider, low)
            exponent = gaussian_exponent(sent_to(offset, image.device), sigma)
            exponent = exponent.repeat_interleave(channels, 0)
        return separable_blur(image, exponent.softmax(dim=1))


@AUGMENTATION_STEPS.register_module()
class CutOut(PixelStep):
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

    def change(self, image: Tensor, noise: np.ndarray, context: Context) -> Tensor:
        """See :class:`PixelStep`."""
        size = image.shape[2], image.shape[3]
        sides = painted_sides(random_boxes(noise, size, self.area), size)
        covered = number_of_boxes(sides, size, image.device) > 0
        return image.masked_fill(covered.unsqueeze(1), 0)  # 0 is the mean
