# Copyright (c) mmseg_ctt contributors.
"""Adaptive Copy-Paste and Adaptive CutMix (AEL)."""

from typing import NamedTuple, Optional, Sequence, Tuple, Union

import torch
import torch.nn as nn
from torch import Tensor

from ...functional import cut_mix_mask, downsample_nearest
from ...nn import settings
from ...nn.unused_settings import refuse_unused
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
        prob (float): Ratio of images that are changed. Defaults to 0.5.
        tail (str | Sequence[int], optional): Classes to draw from: ids, or a file of
            ``label_statistics.py --json``. Defaults to None: by the labels so far.
        tail_ratio (float): A class belongs to the tail up to this multiple of the mean number of
            pixels of a class. Defaults to 1.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If a setting lies outside its range, or has no effect.
        FileNotFoundError: If ``tail`` is a file that does not exist.
    """

    tail: Optional[Tensor]

    renamed = dict(tail_share='tail_ratio')  # former settings

    def __init__(
        self,
        num_classes: int,
        number: int = 3,
        prob: float = 0.5,
        tail: Union[None, str, Sequence[int]] = None,
        tail_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        settings.check_number('model.copy_paste.number', number, 1, whole=True)
        settings.check_number('model.copy_paste.prob', prob, 0, 1)
        settings.check_number('model.copy_paste.tail_ratio', tail_ratio, 0, ends='(]')
        if isinstance(tail, (list, tuple)):
            cause = 'model.copy_paste.tail names the classes'
            refuse_unused('model.copy_paste', dict(tail_ratio=tail_ratio), AdaptiveCopyPaste, cause)
        self.number, self.prob, self.tail_ratio = number, prob, tail_ratio
        self.noise_width = number + 1  # random numbers per image
        self.register_buffer('tail', fixed_tail(tail, num_classes, tail_ratio), persistent=False)

    def forward(
        self, image: Tensor, label: Tensor, noise: Tensor, class_confidence: Tensor, pixels: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Paste onto one batch.

        Args:
            image (Tensor): ``(B, C, H, W)``; maps that move with the pixels are further channels.
            label (Tensor): ``(B, H, W)`` int64.
            noise (Tensor): ``(B, noise_width)`` uniform in [0, 1).
            class_confidence (Tensor): ``(K,)``.
            pixels (Tensor): ``(K,)``, labelled pixels so far.

        Returns:
            tuple[Tensor, Tensor]: Image and label, new tensors.
        """
        allowed = tail_classes(pixels, self.tail_ratio) if self.tail is None else self.tail
        probability = class_draw_probability(class_confidence, 0.5, allowed)
        drawn = sample_index(probability, noise[:, : self.number])
        chosen = torch.zeros(len(image), len(probability), dtype=torch.bool, device=image.device)
        # classes are drawn even where none is allowed
        pasted = (noise[:, self.number :] < self.prob) & (probability > 0).any()
        chosen.scatter_(1, drawn, pasted.expand_as(drawn))
        other_label, other_image = label.roll(-1, dims=0), image.roll(-1, dims=0)
        mask = class_mask(other_label, chosen)
        return (
            torch.where(mask.unsqueeze(1), other_image, image),
            torch.where(mask, other_label, label),
        )


class Cut(NamedTuple):
    """Which part of which other image is pasted onto each image.

    Attributes:
        partner (Tensor): ``(B,)`` int64, index of the other image.
        mask (Tensor): ``(B, H, W)`` bool, True where it is pasted.
    """

    partner: Tensor
    mask: Tensor

    def apply_mix(self, maps: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` or maps ``(B, H, W)``, mixed."""
        mask = self.mask.unsqueeze(1) if maps.dim() == 4 else self.mask
        return torch.where(mask, maps[self.partner], maps)


class AdaptiveCutMix(nn.Module):
    """Cuts an object of a class of little confidence into each image.

    The class is drawn by the class confidence. The partner comes from the batch, if possible an
    image in which the teacher predicts the class (the released code keeps a list of such images
    and loads one of them). The box is that of a connected component of the class; where none is
    large enough, a random one of half the area.

    Args:
        adaptive (bool): False cuts a random box from a random partner; the areas belong to the
            images, and may stay. Defaults to True.
        object_area (float): Ratio of the image that a component must exceed. Defaults to 0.005
            (released code; 0.03 on VOC).
        class_area (float): Ratio of the image from which it shows a class. Defaults to 0.01
            (released code; 0.03 on VOC).

    Raises:
        TypeError: If an area is no number.
        ValueError: If an area lies outside [0, 1).
    """

    noise_width = 7  # random numbers per image

    def __init__(
        self, adaptive: bool = True, object_area: float = 0.005, class_area: float = 0.01
    ) -> None:
        super().__init__()
        areas = dict(object_area=object_area, class_area=class_area)
        settings.check_numbers('model.cut_mix', areas, 0, 1, ends='[)')
        self.adaptive, self.object_area, self.class_area = adaptive, object_area, class_area

    def forward(
        self,
        logits: Tensor,
        size: Tuple[int, int],
        noise: Tensor,
        class_confidence: Tensor,
        valid: Optional[Tensor] = None,
    ) -> Cut:
        """Choose partners and boxes.

        Args:
            logits (Tensor): ``(B, K, h, w)`` of the teacher, at the stride of its head.
            size (tuple[int, int]): ``(H, W)`` of the images.
            noise (Tensor): ``(B, 7)`` uniform in [0, 1).
            class_confidence (Tensor): ``(K,)``.
            valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding, which shows no
                class. Defaults to None: nothing was padded.

        Returns:
            Cut: To be applied to images, labels and confidences.
        """
        label = logits.detach().argmax(dim=1)
        inside = torch.ones_like(label, dtype=torch.bool)
        if valid is not None:
            inside = downsample_nearest(valid, (label.shape[1], label.shape[2]))
        random_box = cut_mix_mask(label.new_zeros(1).expand(len(label), *size), noise=noise[:, 3:])
        drawn = sample_index(class_draw_probability(class_confidence), noise[:, 0])
        min_area = self.class_area if self.adaptive else 2.0  # more than any image has
        area = _class_area(label, inside, logits.shape[1])
        partner = choose_partner(area, drawn, min_area, noise[:, 1])
        if not self.adaptive:
            return Cut(partner, random_box)
        shown = (label[partner] == drawn.view(-1, 1, 1)) & inside[partner]
        box, found = object_box(shown, size, self.object_area, noise[:, 2])
        return Cut(partner, torch.where(found.view(-1, 1, 1), box, random_box))


def _class_area(label: Tensor, inside: Tensor, num_classes: int) -> Tensor:
    """``(B, K)``, ratio of each image that each class covers."""
    label = label.flatten(1)
    area = torch.zeros(len(label), num_classes, device=label.device)
    return area.scatter_add_(1, label, inside.flatten(1).to(area.dtype)) / label.shape[1]
