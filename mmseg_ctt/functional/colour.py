# Copyright (c) mmseg_ctt contributors.
"""Colour jitter and Gaussian blur of a batch, with parameters of their own for each image.

Values are those of kornia, which takes four times as many operations and whose blur waits for the
device to check that every sigma is positive.
"""

from typing import Any, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue


def jitter_colours(
    image: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor
) -> Tensor:
    """Colour jitter: brightness, contrast, saturation, hue, in this order, clamped in between.

    Images of other than three channels have no saturation and no hue: brightness and contrast
    change alone, and each channel keeps the distance to its own mean, since bands such as infrared
    have levels of their own (ours).

    Args:
        image (Tensor): ``(B, 3, H, W)``, red, green, blue in [0, 1], or ``(B, C, H, W)``.
        brightness (Tensor): ``(B, 1, 1, 1)`` factor.
        contrast (Tensor): ``(B, 1, 1, 1)`` factor of the distance to the mean grey, of other than
            three channels to the mean of the channel.
        saturation (Tensor): ``(B, 1, 1, 1)`` factor of the distance to the grey of the pixel.
        hue (Tensor): ``(B, 1, 1, 1)`` turns around the colour circle.

    Returns:
        Tensor: Of the same shape, in [0, 1].
    """
    image = (image * brightness).clamp_(0, 1)
    image = torch.lerp(mean_level(image), image, contrast).clamp_(0, 1)
    if not is_rgb(image):
        return image
    image = torch.lerp(grey(image), image, saturation).clamp_(0, 1)
    return shift_hue(image, hue)


def is_rgb(image: Tensor) -> bool:
    """Whether images ``(B, C, H, W)`` have three channels, which count as red, green, blue."""
    return image.shape[1] == 3


def grey(image: Tensor) -> Tensor:
    """``(B, 1, H, W)`` luma of red, green, blue; of other images the mean of the channels."""
    if not is_rgb(image):
        return image.mean(1, keepdim=True)
    red, green, blue = image.split(1, dim=1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])


def mean_level(image: Tensor) -> Tensor:
    """What contrast keeps: ``(B, 1, 1, 1)`` mean luma of red, green, blue; of other images
    ``(B, C, 1, 1)``, the mean of each channel.
    """
    if is_rgb(image):
        return grey(image).mean((1, 2, 3), keepdim=True)
    return image.mean((2, 3), keepdim=True)


def shift_hue(image: Tensor, turns: Tensor) -> Tensor:
    """Hue shift of ``(B, 3, H, W)`` images; HSV value and saturation stay."""
    value, chroma, hue = _value_chroma_hue(image)
    return _from_hue(value, chroma, hue.add_(turns * 6))


def hsv_noise(
    image: Tensor,
    noise: Tensor,
    power: float = 2.0,
    scale: float = 0.5,
    shift: float = 0.1,
    hue: float = 0.1,
) -> Tensor:
    """Noise of hue, saturation and value, one draw an image (Exemplar; released code of S4L).

    Saturation and value ``x``, each on its own, become ``x^(2^a) 2^b + c`` in [0, 1] with ``a``,
    ``b`` and ``c`` uniform between plus and minus ``power``, ``scale`` and ``shift``; hue turns.

    Args:
        image (Tensor): ``(B, 3, H, W)``, red, green, blue in [0, 1].
        noise (Tensor): ``(B, 7)`` uniform in [0, 1): hue, then powers, scales and shifts of
            saturation and value.
        power (float): Defaults to 2.
        scale (float): Defaults to 0.5.
        shift (float): Defaults to 0.1.
        hue (float): Largest turn, in turns of the colour circle. Defaults to 0.1.

    Returns:
        Tensor: Of the same shape, in [0, 1].
    """
    turns, *draws = (2 * noise - 1).view(-1, 7, 1, 1, 1).unbind(1)
    powers, scales, shifts = (torch.cat(draws[i : i + 2], dim=1) for i in (0, 2, 4))
    value, chroma, sixths = _value_chroma_hue(image)
    both = torch.cat([chroma / value.clamp(min=1e-8), value], dim=1)
    both = both.pow(2 ** (power * powers)) * 2 ** (scale * scales) + shift * shifts
    saturation, value = both.clamp_(0, 1).split(1, dim=1)
    return _from_hue(value, value * saturation, sixths.add_(turns * (6 * hue)))


def _value_chroma_hue(image: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """``(B, 1, H, W)`` value, value times saturation, and hue in sixths of a turn, of HSV."""
    value, channel = image.max(dim=1, keepdim=True)
    chroma = value - image.amin(dim=1, keepdim=True)
    difference = image.roll(-1, 1).sub_(image.roll(-2, 1)).gather(1, channel)
    return value, chroma, difference.div_(chroma.clamp(min=1e-8)).add_(channel, alpha=2)


def _from_hue(value: Tensor, chroma: Tensor, hue: Tensor) -> Tensor:
    """The inverse of :func:`_value_chroma_hue`.

    With ``k = (n + hue) mod 6``, a channel is ``value - chroma * clamp(min(k, 4 - k), 0, 1)``,
    ``n`` being 5, 3, 1 for red, green, blue.
    """
    offset = torch.arange(5, 0, -2, device=value.device).view(3, 1, 1)
    k = (hue + offset).remainder_(6)
    return value - chroma * torch.minimum(k, 4 - k).clamp_(0, 1)


def gaussian_blur(image: Tensor, sigma: Tensor, side: int) -> Tensor:
    """Gaussian blur with a width of its own for each image, borders replicated.

    Args:
        image (Tensor): ``(B, C, H, W)``.
        sigma (Tensor): ``(B, 1)`` pixels, positive.
        side (int): Side of the kernel, odd.

    Returns:
        Tensor: ``(B, C, H, W)``.
    """
    offset = torch.arange(side, dtype=sigma.dtype, device=image.device) - side // 2
    exponent = gaussian_exponent(offset, sigma).repeat_interleave(image.shape[1], 0)
    return separable_blur(image, exponent.softmax(dim=1))


def gaussian_exponent(offset: Any, sigma: Any) -> Any:
    """Exponents of a Gaussian at some offsets; tensors, or arrays of numpy.

    Args:
        offset (Tensor | ndarray): ``(side,)`` pixels.
        sigma (Tensor | ndarray): ``(N, 1)`` pixels, positive.

    Returns:
        Tensor | ndarray: ``(N, side)``.
    """
    return offset**2 / (-2 * sigma**2)


def separable_blur(image: Tensor, kernel: Tensor) -> Tensor:
    """Each channel of each image blurred by a kernel of its own, borders replicated.

    Args:
        image (Tensor): ``(B, C, H, W)``.
        kernel (Tensor): ``(B * C, side)``, for rows as for columns; ``side`` is odd.

    Returns:
        Tensor: ``(B, C, H, W)``.
    """
    rows = kernel.view(len(kernel), 1, 1, -1)
    channels = image.reshape(1, -1, *image.shape[2:])
    channels = F.pad(channels, (kernel.shape[1] // 2,) * 4, mode='replicate')
    with torch.autocast(image.device.type, enabled=False):
        channels = F.conv2d(channels, rows, groups=len(kernel))
        channels = F.conv2d(channels, rows.transpose(2, 3), groups=len(kernel))
    return channels.view(image.shape)
