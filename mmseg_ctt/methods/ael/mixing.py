# Copyright (c) mmseg_ctt contributors.
"""Adaptive Copy-Paste and CutMix of AEL as modules: settings, and where numbers are taken from."""

from typing import NamedTuple, Optional, Sequence, Tuple, Union

import torch
import torch.nn as nn
from torch import Tensor

from ...functional import cut_mix_mask
from .functional import (
    choose_partner,
    class_draw_probability,
    class_mask,
    object_box,
    sample_index,
    tail_classes,
)
from .tail_classes import fixed_tail


class AdaptiveCopyPaste(nn.Module):
    """Pastes all pixels of drawn tail classes from the batch neighbour, image and label.

    Each image draws its own classes (the released code draws once a step, and loads another
    image to paste from).

    Args:
        num_classes (int): ``K``.
        number (int): Draws per image, with replacement. Defaults to 3 (released code: 3 on
            Cityscapes, 1 on VOC).
        prob (float): Share of images that something is pasted on. Defaults to 0.5.
        tail (str | Sequence[int], optional): Classes to draw from: ids, or a file of
            ``label_statistics.py --json``. Defaults to None: by the labels seen so far.
        tail_share (float): A class belongs to the tail up to this multiple of an equal share of
            the pixels. Defaults to 1.

    Raises:
        ValueError: If a setting lies outside its range.
        FileNotFoundError: If ``tail`` is a file that does not exist.
    """

    def __init__(
        self,
        num_classes: int,
        number: int = 3,
        prob: float = 0.5,
        tail: Union[None, str, Sequence[int]] = None,
        tail_share: float = 1.0,
    ) -> None:
        super().__init__()
        if number < 1 or not 0 <= prob <= 1 or tail_share <= 0:
            raise ValueError(
                'model.copy_paste: number and tail_share must be positive and prob '
                f'in [0, 1], got {number}, {tail_share} and {prob}'
            )
        self.number, self.prob, self.tail_share = number, prob, tail_share
        self.width = number + 1  # random numbers per image
        self.register_buffer('tail', fixed_tail(tail, num_classes, tail_share), persistent=False)

    def forward(
        self, image: Tensor, label: Tensor, noise: Tensor, class_confidence: Tensor, pixels: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Paste onto one batch.

        Args:
            image (Tensor): ``(B, 3, H, W)``.
            label (Tensor): ``(B, H, W)`` int64.
            noise (Tensor): ``(B, width)`` uniform in [0, 1).
            class_confidence (Tensor): ``(K,)``.
            pixels (Tensor): ``(K,)``, labelled pixels so far.

        Returns:
            tuple[Tensor, Tensor]: Image and label, new tensors.
        """
        allowed = tail_classes(pixels, self.tail_share) if self.tail is None else self.tail
        probability = class_draw_probability(class_confidence, 0.5, allowed)
        drawn = sample_index(probability, noise[:, : self.number])
        chosen = torch.zeros(len(image), len(probability), dtype=torch.bool, device=image.device)
        # nothing to draw from yields draws all the same
        happens = ((noise[:, self.number :] < self.prob) & (probability > 0).any()).expand_as(drawn)
        chosen.scatter_(1, drawn, happens)
        there, others = label.roll(-1, dims=0), image.roll(-1, dims=0)
        mask = class_mask(there, chosen)
        return torch.where(mask.unsqueeze(1), others, image), torch.where(mask, there, label)


class Cut(NamedTuple):
    """Which image ``(B,)`` is cut into each image, and where, ``(B, H, W)`` bool."""

    partner: Tensor
    mask: Tensor

    def follow(self, tensor: Tensor) -> Tensor:
        """Mix images ``(B, C, H, W)`` or maps ``(B, H, W)``."""
        mask = self.mask.unsqueeze(1) if tensor.dim() == 4 else self.mask
        return torch.where(mask, tensor[self.partner], tensor)


class AdaptiveCutMix(nn.Module):
    """Cuts an object of a badly known class, as the teacher sees it, into each image.

    The class is drawn by the confidence bank, the partner from the batch, if possible one that
    shows the class (the released code remembers which images showed it and loads one of them).
    Where no component of the class is large enough, the box is a random one of half the area.

    Args:
        adaptive (bool): False cuts a random box from a random partner. Defaults to True.
        object_area (float): Share of the image that a component must exceed. Defaults to 0.005
            (released code; 0.03 on VOC).
        class_area (float): Share from which an image shows a class. Defaults to 0.01 (released
            code; 0.03 on VOC).

    Raises:
        ValueError: If an area lies outside [0, 1).
    """

    width = 7  # random numbers per image

    def __init__(
        self, adaptive: bool = True, object_area: float = 0.005, class_area: float = 0.01
    ) -> None:
        super().__init__()
        for name, value in (('object_area', object_area), ('class_area', class_area)):
            if not 0 <= value < 1:
                raise ValueError(f'model.cut_mix.{name} must be in [0, 1), got {value}')
        self.adaptive, self.object_area, self.class_area = adaptive, object_area, class_area

    def forward(
        self,
        logits: Tensor,
        size: Tuple[int, int],
        noise: Tensor,
        class_confidence: Optional[Tensor] = None,
    ) -> Cut:
        """Choose partners and boxes.

        Args:
            logits (Tensor): ``(B, K, h, w)`` of the teacher, at the stride of its head.
            size (tuple[int, int]): ``(H, W)`` of the images.
            noise (Tensor): ``(B, 7)`` uniform in [0, 1).
            class_confidence (Tensor): ``(K,)``.

        Returns:
            Cut: To be applied to images, labels and confidences.
        """
        guess = logits.detach().argmax(dim=1)
        somewhere = cut_mix_mask(guess.new_zeros(1).expand(len(guess), *size), noise=noise[:, 3:])
        wanted = sample_index(class_draw_probability(class_confidence), noise[:, 0])
        least = self.class_area if self.adaptive else 2.0  # of which no image has as much
        area = _class_area(guess, logits.shape[1])
        partner = choose_partner(area, wanted, least, noise[:, 1])
        if not self.adaptive:
            return Cut(partner, somewhere)
        box, found = object_box(
            guess[partner] == wanted.view(-1, 1, 1), size, self.object_area, noise[:, 2]
        )
        return Cut(partner, torch.where(found.view(-1, 1, 1), box, somewhere))


def _class_area(label: Tensor, num_classes: int) -> Tensor:
    """``(B, K)``, share of each image that each class covers."""
    label = label.flatten(1)
    area = torch.zeros(len(label), num_classes, device=label.device)
    return area.scatter_add_(1, label, torch.ones_like(label, dtype=area.dtype)) / label.shape[1]
