# Copyright (c) mmseg_ctt contributors.
"""Operations on the values of pixels, each with one strength an image (AugSeg, RandAugment).

Images are ``(B, 3, H, W)`` red, green, blue in [0, 1], or of another number of channels, which have
no saturation and no hue to change; strengths ``(B, 1, 1, 1)`` in [0, 1], where 0 is the weakest
change. Results are new tensors in [0, 1]. Ranges are those of AugSeg's released code.
"""

from typing import Callable, Dict

import torch
import torch.nn.functional as F
from torch import Tensor

from .colour import gaussian_blur, grey, is_rgb, mean_level, shift_hue

Intensity = Callable[[Tensor, Tensor], Tensor]


def autocontrast(image: Tensor, strength: Tensor) -> Tensor:
    """Each channel stretched to [0, 1]; a channel of one value stays. Strength has no effect."""
    low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (image - low) / span.clamp(min=1e-6), image).clamp(0, 1)


def equalize(image: Tensor, strength: Tensor) -> Tensor:
    """Each channel with an even histogram of 256 levels, as Pillow. Strength has no effect."""
    levels = (image * 255).round().long().flatten(2)  # (B, C, N)
    count = torch.zeros(*levels.shape[:2], 256, dtype=torch.long, device=image.device)
    count.scatter_add_(2, levels, torch.ones_like(levels))
    highest = count.gather(2, levels.amax(2, keepdim=True))
    step = (levels.shape[2] - highest) // 255
    below = count.cumsum(2) - count
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    even = (table.gather(2, levels) / 255.0).view_as(image).to(image.dtype)
    return torch.where(step.unsqueeze(3) > 0, even, image)


def identity(image: Tensor, strength: Tensor) -> Tensor:
    """The image as it is."""
    return image.clone()


def invert(image: Tensor, strength: Tensor) -> Tensor:
    """The negative (iMAS). Strength has no effect."""
    return 1 - image


def brightness(image: Tensor, strength: Tensor) -> Tensor:
    """Times a factor from 0.95 down to 0.05."""
    return (image * _factor(strength)).clamp(0, 1)


def contrast(image: Tensor, strength: Tensor) -> Tensor:
    """Distance to the mean grey, times a factor from 0.95 down to 0.05.

    Of images of other than three channels: each channel's distance to its own mean (ours).
    """
    return torch.lerp(mean_level(image), image, _factor(strength)).clamp(0, 1)


def saturation(image: Tensor, strength: Tensor) -> Tensor:
    """Distance to the grey of the pixel, times a factor from 0.95 down to 0.05."""
    if not is_rgb(image):
        return image.clone()
    return torch.lerp(grey(image).expand_as(image), image, _factor(strength)).clamp(0, 1)


def hue(image: Tensor, strength: Tensor) -> Tensor:
    """Hue turned by 0 to half of the colour circle; a negative strength turns it the other way."""
    return shift_hue(image, strength / 2) if is_rgb(image) else image.clone()


def sharpness(image: Tensor, strength: Tensor) -> Tensor:
    """Distance to a blurred image, times a factor from 0.95 down to 0.05."""
    mean = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode='replicate'), 3, stride=1)
    blurred = (9 * mean + 4 * image) / 13  # 3x3 weights of 1, and 5 in the middle
    return torch.lerp(blurred, image, _factor(strength)).clamp(0, 1)


def blur(image: Tensor, strength: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation of 0.1 to 2 pixels."""
    sigma = 0.1 + 1.9 * strength.flatten(1)
    return gaussian_blur(image, sigma, 13).clamp(0, 1)


def posterize(image: Tensor, strength: Tensor) -> Tensor:
    """7 down to 4 bits a channel, 8 (no change) at strength 0."""
    levels = 2 ** (8 - (strength * 4).ceil())
    return ((image * 255 / (256 / levels)).floor() * (256 / levels) / 255).clamp(0, 1)


def solarize(image: Tensor, strength: Tensor) -> Tensor:
    """Values from a threshold of 1 down to 0 on are inverted."""
    return torch.where(image >= 1 - strength, 1 - image, image)


def _factor(strength: Tensor) -> Tensor:
    return 0.95 - 0.9 * strength


INTENSITIES: Dict[str, Intensity] = dict(
    autocontrast=autocontrast,
    blur=blur,
    brightness=brightness,
    contrast=contrast,
    equalize=equalize,
    hue=hue,
    identity=identity,
    invert=invert,
    posterize=posterize,
    saturation=saturation,
    sharpness=sharpness,
    solarize=solarize,
)
AUGSEG_OPERATIONS = tuple(name for name in INTENSITIES if name != 'invert')
