# Copyright (c) mmseg_ctt contributors.
"""Random pixels of every class, and sums over them, at fixed shapes."""

from typing import NamedTuple, Tuple

import torch
from torch import Tensor

from .precision import full_precision


@torch.no_grad()
def class_sums(
    feature: Tensor, label: Tensor, valid: Tensor, num_classes: int
) -> Tuple[Tensor, Tensor]:
    """Sum and number of the features of every class.

    Args:
        feature (Tensor): ``(N, D)``.
        label (Tensor): ``(N,)`` int64; anything where ``valid`` is False.
        valid (Tensor): ``(N,)`` bool.
        num_classes (int): ``K``.

    Returns:
        tuple[Tensor, Tensor]: ``(K, D)`` and ``(K,)``, float32 (float64 for double input).
    """
    feature = feature.detach()
    feature = full_precision(feature)
    class_id = torch.arange(num_classes, device=label.device).unsqueeze(1)
    in_class = ((label == class_id) & valid).to(feature.dtype)
    with torch.autocast(feature.device.type, enabled=False):
        return in_class @ feature, in_class.sum(dim=1)


class PixelsByClass(NamedTuple):
    """Pixels in the order of their classes.

    Attributes:
        order (Tensor): ``(N,)`` int64, pixels of class 0 first, those of no class last.
        start (Tensor): ``(K,)`` int64, where a class begins in it.
        number (Tensor): ``(K,)`` int64, pixels of each class.
    """

    order: Tensor
    start: Tensor
    number: Tensor

    def draw(self, class_id: Tensor, noise: Tensor) -> Tensor:
        """Random pixels of given classes, uniformly and with replacement.

        Args:
            class_id (Tensor): int64, broadcast to ``noise``.
            noise (Tensor): Numbers in [0, 1).

        Returns:
            Tensor: As ``noise``, int64 pixels; of no meaning for a class without one.
        """
        position = self.start[class_id] + draw_index(self.number[class_id], noise)
        return self.order[position.clamp_(max=self.order.shape[0] - 1)]


@torch.no_grad()
def pixels_by_class(label: Tensor, valid: Tensor, num_classes: int) -> PixelsByClass:
    """Sort pixels by class.

    Args:
        label (Tensor): ``(N,)`` int64, ``N`` at least 1; anything where ``valid`` is False.
        valid (Tensor): ``(N,)`` bool.
        num_classes (int): ``K``; valid labels lie in ``[0, K)``.
    """
    label = label.masked_fill(~valid, num_classes)
    count = label.new_zeros(num_classes + 1)
    count = count.scatter_add_(0, label, torch.ones_like(label))[:num_classes]
    return PixelsByClass(label.argsort(stable=True), count.cumsum(0) - count, count)


@torch.no_grad()
def draw_per_class(
    label: Tensor, valid: Tensor, num_classes: int, noise: Tensor
) -> Tuple[Tensor, Tensor]:
    """Random pixels of every class, uniformly and with replacement.

    Args:
        label (Tensor): ``(N,)`` int64, ``N`` at least 1; anything where ``valid`` is False.
        valid (Tensor): ``(N,)`` bool.
        num_classes (int): ``K``; valid labels lie in ``[0, K)``.
        noise (Tensor): ``(K, A)`` numbers in [0, 1).

    Returns:
        tuple[Tensor, Tensor]: ``index`` ``(K, A)`` int64 into the pixels, of no meaning for a
        class without a valid pixel, and ``count`` ``(K,)`` int64, valid pixels of each class.
    """
    pixels = pixels_by_class(label, valid, num_classes)
    class_id = torch.arange(num_classes, device=label.device).unsqueeze(1)
    return pixels.draw(class_id, noise), pixels.number


@torch.no_grad()
def draw_index(count: Tensor, noise: Tensor) -> Tensor:
    """Random index in ``[0, count)``, 0 where the count is 0.

    Args:
        count (Tensor): int64, broadcast to ``noise``.
        noise (Tensor): Numbers in [0, 1).

    Returns:
        Tensor: As ``noise``, int64.
    """
    # a product just below the count may be rounded up to it
    return torch.minimum((noise * count).long(), count - 1).clamp_(min=0)
