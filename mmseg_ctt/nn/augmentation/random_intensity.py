# Copyright (c) mmseg_ctt contributors.
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from ...functional.intensity import AUGSEG_OPERATIONS, INTENSITIES
from ..rng import sent_to
from ..settings import check_choice, check_keys, check_number
from .step import AUGMENTATION_STEPS, AugmentationStep
from .view import Context, View, denormalize, normalize

NONE = -1  # in the place of the number of an operation


@AUGMENTATION_STEPS.register_module()
class RandomIntensity(AugmentationStep):
    """Up to ``number`` random operations of a list on each image (AugSeg, RandAugment).

    Each image draws how many operations it gets, which (with replacement), and their strength.
    Saturation and hue change images of three channels alone.

    Args:
        number (int): Largest number of operations. Defaults to 3 (AugSeg).
        operations (Sequence[str]): Names in :data:`INTENSITIES`. Defaults to those of AugSeg: all
            but ``invert``; ``identity`` is one of them.
        prob (float): Ratio of images that are changed. Defaults to 1.
        random_number (bool): Whether an image gets 1 to ``number`` operations, all with the same
            chance (AugSeg), or always ``number`` (iMAS). Defaults to True.

    Raises:
        ValueError: If ``number`` is not positive, or an operation unknown.
    """

    reads_noise_on_host = True

    def __init__(
        self,
        number: int = 3,
        operations: Sequence[str] = AUGSEG_OPERATIONS,
        prob: float = 1.0,
        random_number: bool = True,
    ) -> None:
        super().__init__(prob)
        check_number(self.key('number'), number, 1, whole=True)
        check_keys(self.key('operations'), operations, INTENSITIES, 'operations')
        check_choice(self.key('random_number'), random_number, (True, False))
        self.number, self.operations = number, tuple(operations)
        self.random_number = random_number

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 2 + 3 * self.number

    def rgb_only(self) -> str:
        """See :class:`AugmentationStep`."""
        return ' and '.join(name for name in ('saturation', 'hue') if name in self.operations)

    def forward(self, view: View, noise: np.ndarray, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        numbers = self._drawn(noise)
        _, strength, sign = sent_to(noise[:, 2:], view.image.device).chunk(3, dim=1)
        if context.strength is not None:
            strength = strength * context.strength.unsqueeze(1)
        turned = torch.where(sign < 0.5, -strength, strength)
        plain = denormalize(view.image, context.preprocessor)
        for turn in range(self.number):
            plain = self._operate(plain, numbers[:, turn], strength[:, turn], turned[:, turn])
        image = normalize(plain.clone(), context.preprocessor)
        changed = sent_to((numbers != NONE).any(1), view.image.device)
        return view._replace(image=torch.where(changed.view(-1, 1, 1, 1), image, view.image))

    def _drawn(self, noise: np.ndarray) -> np.ndarray:
        """``(B, number)`` int, position of the operation of each turn in the list, or ``NONE``."""
        drawn = (noise[:, 2 : 2 + self.number] * len(self.operations)).astype(int)
        drawn = drawn.clip(max=len(self.operations) - 1)
        count = np.full(len(noise), self.number)
        if self.random_number:
            count = 1 + (noise[:, 1] * self.number).astype(int).clip(max=self.number - 1)
        done = np.arange(self.number) < count[:, None]
        return np.where(done & (noise[:, :1] < self.prob), drawn, NONE)

    def _operate(
        self, image: Tensor, number: np.ndarray, strength: Tensor, turned: Tensor
    ) -> Tensor:
        """The operation of each image, on the images that have drawn it.

        Which these are is known on the host, so that nothing waits for the device, and no other is
        computed.

        Args:
            image (Tensor): ``(B, C, H, W)`` in [0, 1].
            number (np.ndarray): ``(B,)`` position of the operation, or ``NONE``.
            strength (Tensor): ``(B,)``.
            turned (Tensor): The same with a random sign, for hue.
        """
        for position in np.unique(number[number != NONE]):
            name = self.operations[position]
            if name == 'identity':
                continue
            rows = sent_to(np.flatnonzero(number == position), image.device)
            values = (turned if name == 'hue' else strength).index_select(0, rows)
            changed = INTENSITIES[name](image.index_select(0, rows), values.view(-1, 1, 1, 1))
            image = image.index_copy(0, rows, changed)
        return image
