# Copyright (c) mmseg_ctt contributors.
"""Strong views, and what their steps know."""

from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from ...functional import mix
from ...functional.colour import is_rgb
from ..rng import sent_to


class Mix(NamedTuple):
    """One mixing of a batch.

    Attributes:
        mask (Tensor): ``(B, H, W)`` bool, True where an image is kept, False where its partner is
            pasted.
        partner (str): Partner of image ``i``: ``'next'``: image ``i + 1``; ``'flipped'``: image
            ``B - 1 - i``; ``'second_half'``: image ``B + i`` of a batch of ``2B``.
    """

    mask: Tensor
    partner: str = 'next'

    def apply(self, maps: Tensor, batch_dim: int = 0) -> Tensor:
        """Mix maps ``(B, H, W)``, ``(B, C, H, W)``, or ``(T, B, H, W)`` with ``batch_dim=1``.

        With the second half as partner maps of ``2B`` images become those of ``B``.
        """
        if self.partner == 'next':
            return mix(maps, self.mask, batch_dim=batch_dim)
        mask = self.mask.unsqueeze(1) if maps.dim() == 4 and batch_dim == 0 else self.mask
        if self.partner == 'flipped':
            return torch.where(mask, maps, maps.flip(batch_dim))
        first, second = maps.chunk(2, batch_dim)
        return torch.where(mask, first, second)


class View(NamedTuple):
    """Strongly augmented images, and how they were mixed.

    Attributes:
        image (Tensor): ``(B, C, H, W)``, normalised.
        mixes (tuple[Mix, ...]): In their order.
    """

    image: Tensor
    mixes: Tuple[Mix, ...] = ()

    def apply_mix(self, maps: Tensor, batch_dim: int = 0) -> Tensor:
        """Maps ``(B, H, W)`` or ``(B, C, H, W)``, mixed as the images were.

        With ``batch_dim=1`` they are the maps ``(T, B, H, W)`` of several teachers.
        """
        for mixing in self.mixes:
            maps = mixing.apply(maps, batch_dim)
        return maps


class Context(NamedTuple):
    """What a step may know besides the images.

    Attributes:
        label (Tensor): ``(B, H, W)`` int64 pseudo-labels, mixed as the images are so far for steps
            with ``reads_label``; the others read its size and device alone.
        num_classes (int): ``K``.
        preprocessor (nn.Module): Data preprocessor; its mean, std and channel order.
        strength (Tensor, optional): ``(B,)`` in [0, 1], scales the magnitude of each image's
            changes of colour.
    """

    label: Tensor
    num_classes: int
    preprocessor: nn.Module
    strength: Optional[Tensor] = None

    def amounts(self, change: np.ndarray, neutral: Any) -> Tensor:
        """``neutral + change * strength`` of each image, on the device of the labels.

        Args:
            change (ndarray): ``(B, n)`` float32.
            neutral (float | ndarray): Amounts that change nothing, ``(n,)`` float32.
        """
        device = self.label.device
        if self.strength is None:
            return sent_to(neutral + change, device)
        neutral = sent_to(np.float32(neutral).reshape(1, -1), device)
        return neutral + sent_to(change, device) * self.strength.unsqueeze(1)

    def of(self, index: Tensor) -> 'Context':
        """That of some images, by ``(n,)`` int64 index."""
        strength = None if self.strength is None else self.strength.index_select(0, index)
        return self._replace(strength=strength)


def denormalize(image: Tensor, preprocessor: Any) -> Tensor:
    """Values in [0, 1] of images ``(B, C, H, W)``, three channels as red, green, blue."""
    mean, std = _statistics(preprocessor, image)
    plain = (image * std).add_(mean).div_(255).clamp_(0, 1)
    return plain.flip(1) if _is_bgr(image, preprocessor) else plain


def normalize(image: Tensor, preprocessor: Any) -> Tensor:
    """The inverse of :func:`denormalize`; ``image`` is changed.

    One channel is that of all: it gets as many as ``mean`` has.
    """
    mean, std = _statistics(preprocessor, image)
    image = image.flip(1) if _is_bgr(image, preprocessor) else image
    return image.mul_(255).sub(mean).div_(std)


def _statistics(preprocessor: Any, image: Tensor) -> Tuple[Tensor, Tensor]:
    if not hasattr(preprocessor, 'mean'):
        return image.new_zeros(1), image.new_ones(1)
    return preprocessor.mean, preprocessor.std


def _is_bgr(image: Tensor, preprocessor: Any) -> bool:
    """Whether the network's first of three channels is blue."""
    return is_rgb(image) and not getattr(preprocessor, 'channel_conversion', True)
