# Copyright (c) mmseg_ctt contributors.
"""Steps that mix the images of a batch."""

from typing import Optional, Tuple

import numpy as np
from torch import Tensor

from ...functional import class_mix_mask
from ...functional.cut_mix_boxes import BOX_NUMBERS, TRY_NUMBERS, first_fitting_box, random_boxes
from ..settings import check_number, check_range
from .boxes import number_of_boxes, painted_sides
from .step import AUGMENTATION_STEPS, MixingStep
from .view import Context

TRIES = 64  # boxes of a fixed aspect that are drawn at once; the first that fits is taken


@AUGMENTATION_STEPS.register_module()
class ClassMixing(MixingStep):
    """ClassMix (arXiv 2007.07936): half of the classes that the pseudo-labels show stay.

    With ``partner='labeled'`` half of the classes of a labelled image are pasted, of an odd number
    one more than stay, so that one of a single class is pasted whole (DACS, arXiv 2007.08702).

    Args:
        prob (float): Ratio of images that are mixed. Defaults to 1.
        partner (str): See :class:`MixingStep`. Defaults to 'next'.
    """

    reads_label = True

    def __init__(self, prob: float = 1.0, partner: str = 'next') -> None:
        super().__init__(prob, partner)

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 1 + num_classes

    def kept(self, noise: Tensor, context: Context) -> Tensor:
        """See :class:`MixingStep`."""
        mask = class_mix_mask(
            context.label,
            keys=noise[:, 1:],
            num_classes=context.num_classes,
            round_up=self.takes_labeled,
        )
        mask = ~mask if self.takes_labeled else mask  # drawn are the classes of the partner
        return mask if self.prob == 1 else mask | ~self.chosen(noise).squeeze(1)


@AUGMENTATION_STEPS.register_module()
class CutMixing(MixingStep):
    """CutMix (arXiv 1905.04899, for segmentation 1906.01916): images meet at edges of rectangles.

    Without ``aspect`` rectangles of the image stay and the partner is pasted around them; with
    ``aspect`` a rectangle of the partner is pasted.

    Args:
        area (tuple[float, float]): Range of the ratio of the image that is pasted from the partner.
            Defaults to (0.5, 0.5) (CutMix-Seg).
        boxes (int): Rectangles that stay, each with its part of the area that is not pasted; where
            two overlap, the partner shows, in addition to ``area``. Defaults to 1 (CPS: 3).
        aspect (tuple[float, float], optional): Range of height over width of the rectangle that is
            pasted: the box of UniMatch, see :func:`rejection_box_mask`. Defaults to None:
            rectangles of any shape, as CutMix-Seg.
        prob (float): Ratio of images that are mixed. Defaults to 1.
        partner (str): See :class:`MixingStep`. Defaults to 'next'.

    Raises:
        TypeError: See :class:`AugmentationStep`.
        ValueError: If ``area`` does not lie in [0, 1], ``aspect`` is not positive, there is no
            rectangle, or several of one aspect.
    """

    reads_noise_on_host = True

    def __init__(
        self,
        area: Tuple[float, float] = (0.5, 0.5),
        boxes: int = 1,
        aspect: Optional[Tuple[float, float]] = None,
        prob: float = 1.0,
        partner: str = 'next',
    ) -> None:
        super().__init__(prob, partner)
        check_number(self.key('boxes'), boxes, 1, whole=True)
        check_range(self.key('area'), area, 0, 1)
        if aspect is not None:
            check_range(self.key('aspect'), aspect)
            if boxes > 1:
                raise ValueError(
                    f'{self.key("boxes")} must be 1 with an aspect, got {boxes}: remove one of them'
                )
        self.area, self.boxes, self.aspect = area, boxes, aspect

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        if self.aspect is not None:
            return 1 + 2 + TRY_NUMBERS * TRIES
        return 1 + BOX_NUMBERS * self.boxes

    def kept(self, noise: np.ndarray, context: Context) -> Tensor:
        """See :class:`MixingStep`."""
        size = context.label.shape[1], context.label.shape[2]
        low, high = self.area
        whole = noise[:, 0] >= self.prob
        if self.aspect is None:
            boxes = random_boxes(noise[:, 1:], size, (1 - high, 1 - low), self.boxes)
        else:
            boxes = first_fitting_box(noise[:, 2:], size, self.area, self.aspect)
        sides = painted_sides(boxes, size, self.boxes)
        sides[whole] = 0
        if self.aspect is not None:
            return number_of_boxes(sides, size, context.label.device) == 0
        sides[whole, 0] = 1  # a box of all that stays
        return number_of_boxes(sides, size, context.label.device) % 2 == 1
