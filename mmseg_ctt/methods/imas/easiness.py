# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Tuple

import torch.nn as nn
from torch import Tensor

from ...nn.pseudo_label import PseudoLabel
from ...nn.settings import check_choice, check_number
from .functional import combined_easiness, label_agreement

COMBINATIONS = ('product', 'mean')


class ImageEasiness(nn.Module):
    """How easy an unlabelled image is: the class-weighted symmetric IoU of teacher and student.

    The paper and the released code call it hardness, though images of larger values are easier.

    Args:
        num_classes (int): ``K``.
        class_weighted (bool): Whether a class of an image weighs by its area. Defaults to True.
        background (int, optional): Class that does not weigh, where classes are weighted; an image
            of background alone then has the easiness 0 and teaches nothing. Defaults to None
            (released code: class 0 in most runs, on Cityscapes too, where that is the road).
        combine (str): ``'product'``: mean of the two IoUs, each times the ratio of confident
            pixels of its network; ``'mean'``: mean of the two, weighted with these ratios.
            Defaults to 'product' (released code).

    Raises:
        TypeError: If ``background`` is no integer.
        ValueError: If it is no class, or would be unused, or ``combine`` is unknown.
    """

    sections = dict(forward='pseudo-labels')  # for benchmarks

    def __init__(
        self,
        num_classes: int,
        class_weighted: bool = True,
        background: Optional[int] = None,
        combine: str = 'product',
    ) -> None:
        super().__init__()
        check_choice('model.easiness.class_weighted', class_weighted, (True, False))
        check_choice('model.easiness.combine', combine, COMBINATIONS)
        if background is not None:
            check_number('model.easiness.background', background, 0, num_classes - 1, whole=True)
            if not class_weighted:
                raise ValueError(
                    'model.easiness.background needs class_weighted=True, where classes have '
                    'weights; remove one of them'
                )
        self.num_classes, self.background = num_classes, background
        self.class_weighted, self.product = class_weighted, combine == 'product'

    def forward(
        self, teacher: PseudoLabel, student: PseudoLabel, confident: Tuple[Tensor, Tensor]
    ) -> Tensor:
        """Easiness of each image.

        Args:
            teacher (PseudoLabel): ``(B, H, W)`` maps of the weak view.
            student (PseudoLabel): The same.
            confident (tuple[Tensor, Tensor]): ``(B, H, W)`` bool, confident pixels of either.

        Returns:
            Tensor: ``(B,)`` float32 in [0, 1].
        """
        by_teacher, by_student = label_agreement(
            teacher.label, student.label, self.num_classes, self.class_weighted, self.background
        )
        ratios = [_ratio(mask, teacher) for mask in confident]
        return combined_easiness(by_teacher, by_student, ratios[0], ratios[1], self.product)


def _ratio(mask: Tensor, pseudo: PseudoLabel) -> Tensor:
    """``(B,)``, ratio of the pixels of content that a mask has."""
    mask = pseudo.mask_padding(mask)
    if pseudo.valid is None:
        return mask.float().mean((1, 2))
    return mask.sum((1, 2)) / pseudo.valid.sum((1, 2)).clamp(min=1)
