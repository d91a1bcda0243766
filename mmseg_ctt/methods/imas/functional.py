# Copyright (c) mmseg_ctt contributors.
"""Mathematics of iMAS."""

from typing import Optional, Tuple

import torch
from torch import Tensor


@torch.no_grad()
def class_areas(first: Tensor, second: Tensor, num_classes: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Pixels of each class in two label maps of each image, and in both at once.

    Args:
        first (Tensor): ``(B, H, W)`` int64; labels outside ``[0, K)`` count nowhere.
        second (Tensor): The same.
        num_classes (int): ``K``.

    Returns:
        tuple[Tensor, Tensor, Tensor]: ``(B, K)`` float32: of the first, of the second, of both.
    """
    both = torch.where(first == second, first, num_classes)
    areas = [_areas(label, num_classes) for label in (first, second, both)]
    return areas[0], areas[1], areas[2]


@torch.no_grad()
def label_agreement(
    label: Tensor,
    other: Tensor,
    num_classes: int,
    class_weighted: bool = True,
    background: Optional[int] = None,
) -> Tuple[Tensor, Tensor]:
    """Intersection over union of two label maps of each image, mean over the classes.

    Args:
        label (Tensor): ``(B, H, W)`` int64; 255 counts nowhere.
        other (Tensor): The same.
        num_classes (int): ``K``.
        class_weighted (bool): Whether a class weighs as much as its ratio of the pixels: of those
            of the map itself for the first result, of the other one for the second. False: all
            classes of either map weigh the same, and the results are equal. Defaults to True.
        background (int, optional): Class of weight 0 where classes are weighted. An image that
            shows nothing else has the result 0. Defaults to None: none.

    Returns:
        tuple[Tensor, Tensor]: ``(B,)`` in [0, 1] each, by the weights of either map.
    """
    own, others, both = class_areas(label, other, num_classes)
    union = own + others - both
    iou = both / union.clamp(min=1)
    if not class_weighted:
        mean = iou.sum(1) / (union > 0).sum(1).clamp(min=1)
        return mean, mean
    shown = torch.ones_like(iou)
    if background is not None:
        shown = torch.arange(num_classes, device=iou.device) != background
    first, second = (
        (iou * area * shown).sum(1) / (area * shown).sum(1).clamp(min=1) for area in (own, others)
    )
    return first, second


@torch.no_grad()
def combined_easiness(
    teacher: Tensor,
    student: Tensor,
    teacher_ratio: Tensor,
    student_ratio: Tensor,
    product: bool = True,
) -> Tensor:
    """How easy images are: the agreement of teacher and student by their confident pixels.

    Args:
        teacher (Tensor): ``(B,)`` agreement, weighted by the classes of the teacher.
        student (Tensor): The same by those of the student.
        teacher_ratio (Tensor): ``(B,)`` ratio of the pixels that are confident.
        student_ratio (Tensor): The same of the student.
        product (bool): Whether the result is the mean of the two agreements, each times its ratio
            (version 1 of the released code), or the mean of the agreements weighted with the
            ratios (version 2). Defaults to True.

    Returns:
        Tensor: ``(B,)`` in [0, 1]; larger is easier. 0 where no pixel is confident.
    """
    total = teacher * teacher_ratio + student * student_ratio
    ratios = teacher_ratio + student_ratio
    return total / 2 if product else torch.where(ratios > 0, total / ratios, 0.0)


@torch.no_grad()
def easy_hard_partner(easiness: Tensor) -> Tensor:
    """``(B,)`` int64, partner of each image: the easiest is that of the hardest, and so on.

    The middle image of an odd number is its own.

    Args:
        easiness (Tensor): ``(B,)``.
    """
    order = easiness.sort(stable=True).indices
    return torch.empty_like(order).scatter_(0, order, order.flip(0))


def _areas(label: Tensor, num_classes: int) -> Tensor:
    inside = (label >= 0) & (label < num_classes)
    index = torch.where(inside, label, num_classes).flatten(1)
    areas = torch.zeros(len(label), num_classes + 1, device=label.device)
    return areas.scatter_add_(1, index, torch.ones_like(index, dtype=areas.dtype))[:, :num_classes]
