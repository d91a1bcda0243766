# Copyright (c) mmseg_ctt contributors.
"""Steps that mix the images of a batch."""

from typing import Tuple

from torch import Tensor

from ...functional import class_mix_mask, cut_mix_mask
from .step import AUGMENTATION_STEPS, MixingStep
from .view import Context


@AUGMENTATION_STEPS.register_module()
class ClassMixing(MixingStep):
    """ClassMix (arXiv 2007.07936): half of the classes that the pseudo-labels show stay.

    Args:
        prob (float): Ratio of images that are mixed. Defaults to 1.
        partner (str): See :class:`MixingStep`. Defaults to 'next'.
    """

    def __init__(self, prob: float = 1.0, partner: str = 'next') -> None:
        super().__init__(prob, partner)

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 1 + num_classes

    def kept(self, noise: Tensor, context: Context) -> Tensor:
        """See :class:`MixingStep`."""
        return class_mix_mask(context.label, keys=noise, num_classes=context.num_classes)


@AUGMENTATION_STEPS.register_module()
class CutMixing(MixingStep):
    """CutMix (arXiv 1905.04899, for segmentation 1906.01916): a rectangle of each image stays.

    Args:
        area (tuple[float, float]): Range of the ratio of the image that a rectangle covers.
            Defaults to (0.5, 0.5) (CutMix-Seg).
        boxes (int): Rectangles; where two overlap, the neighbour shows. Defaults to 1.
        prob (float): Ratio of images that are mixed. Defaults to 1.
        partner (str): See :class:`MixingStep`. Defaults to 'next'.

    Raises:
        ValueError: If the range does not lie in [0, 1], or there is no rectangle.
    """

    def __init__(
        self,
        area: Tuple[float, float] = (0.5, 0.5),
        boxes: int = 1,
        prob: float = 1.0,
        partner: str = 'next',
    ) -> None:
        super().__init__(prob, partner)
        if boxes < 1:
            raise ValueError(
                f'model.strong_augmentation: CutMixing.boxes must be positive, got {boxes}'
            )
        if not 0 <= area[0] <= area[1] <= 1:
            raise ValueError(
                f'model.strong_augmentation: CutMixing.area={area} is no range in [0, 1]'
            )
        self.area, self.boxes = area, boxes

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 1 + 4 * self.boxes

    def kept(self, noise: Tensor, context: Context) -> Tensor:
        """See :class:`MixingStep`."""
        mask = cut_mix_mask(context.label, area=self.area, noise=noise[:, :4])
        for i in range(1, self.boxes):
            box = cut_mix_mask(context.label, area=self.area, noise=noise[:, 4 * i : 4 * i + 4])
            mask = mask ^ box
        return mask
