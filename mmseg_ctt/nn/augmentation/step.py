# Copyright (c) mmseg_ctt contributors.
"""What a step of the strong augmentation is."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch.nn as nn
from mmengine.registry import Registry
from torch import Tensor

from ..rng import sent_to
from ..settings import check_choice, check_number
from .view import Context, Mix, View

PARTNERS = ('next', 'flipped', 'second_half', 'labeled')
# without a location mmengine warns of every run that the package is not installed
AUGMENTATION_STEPS = Registry(
    'step of the strong augmentation', locations=['mmseg_ctt.nn.augmentation']
)


class AugmentationStep(nn.Module, ABC):
    """One step of :class:`StrongAugmentation`.

    Args:
        prob (float): Ratio of images that the step changes.

    Raises:
        TypeError: If a setting is no number, or no range of two.
        ValueError: If a setting lies outside its bounds, such as ``prob`` outside [0, 1].
    """

    mixes = False  # whether images of a batch are pasted onto one another
    halves = False  # whether the second half of the batch is pasted onto the first one
    takes_labeled = False  # whether the second half are labelled images, pasted onto the first one
    reads_label = False  # whether it reads the values of `Context.label`, not its shape alone
    reads_noise_on_host = False  # whether its random numbers are an array of numpy

    def __init__(self, prob: float) -> None:
        super().__init__()
        check_number(self.key('prob'), prob, 0, 1)
        self.prob = prob

    @classmethod
    def key(cls, setting: str) -> str:
        """Place of a setting in the config, for messages."""
        return f'model.strong_augmentation: {cls.__name__}.{setting}'

    @property
    def active(self) -> bool:
        """Whether the step changes anything."""
        return self.prob > 0

    def rgb_only(self) -> str:
        """What of the step does nothing to images of other than three channels; '' if nothing."""
        return ''

    @abstractmethod
    def noise_width(self, num_classes: int) -> int:
        """Random numbers that an image needs; the first one decides whether it is changed."""

    @abstractmethod
    def forward(self, view: View, noise: Any, context: Context) -> View:
        """Change a view.

        Args:
            view (View): As the steps before have left it.
            noise (Tensor): ``(B, noise_width)`` uniform in [0, 1), on the device of the images; an
                array of numpy with ``reads_noise_on_host``.
            context (Context): See there.
        """

    def chosen(self, noise: Tensor) -> Tensor:
        """``(B, 1, 1, 1)`` bool, images that are changed."""
        return (noise[:, 0] < self.prob).view(-1, 1, 1, 1)


class PixelStep(AugmentationStep):
    """A step that changes the values of pixels, of the chosen images alone.

    Which these are is known on the host, so that nothing waits for the device, and no other image
    is computed.
    """

    reads_noise_on_host = True

    @abstractmethod
    def change(self, image: Tensor, noise: np.ndarray, context: Context) -> Tensor:
        """Changed images.

        Args:
            image (Tensor): ``(n, C, H, W)``, normalised; left as it is.
            noise (ndarray): ``(n, noise_width - 1)`` float32, uniform in [0, 1).
            context (Context): With the strength of these images.
        """

    def forward(self, view: View, noise: np.ndarray, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        rows = np.flatnonzero(noise[:, 0] < self.prob)
        if len(rows) == len(noise):
            return view._replace(image=self.change(view.image, noise[:, 1:], context))
        if not len(rows):
            return view
        index = sent_to(rows, view.image.device)
        some = view.image.index_select(0, index)
        some = self.change(some, noise[rows, 1:], context.of(index))
        return view._replace(image=view.image.index_copy(0, index, some))


class MixingStep(AugmentationStep):
    """A step that keeps a part of each image and fills the rest with another image of the batch.

    Args:
        prob (float): Ratio of images that are mixed.
        partner (str): The other image: the ``'next'`` one of the batch, that of the ``'flipped'``
            batch (UniMatch V2), or that of the ``'second_half'`` of the batch (UniMatch), of which
            the view then has the first half alone; ``'labeled'``: an image of the labelled batch,
            which is pasted with its true labels (DACS, arXiv 2007.08702). Defaults to 'next'.

    Raises:
        ValueError: If ``partner`` is unknown.
    """

    mixes = True

    def __init__(self, prob: float, partner: str = 'next') -> None:
        super().__init__(prob)
        check_choice(self.key('partner'), partner, PARTNERS)
        self.partner = partner
        self.halves = partner == 'second_half'
        self.takes_labeled = partner == 'labeled'

    @abstractmethod
    def kept(self, noise: Any, context: Context) -> Tensor:
        """``(B, H, W)`` bool, pixels of each image that stay; all, of one that is not mixed.

        Args:
            noise (Tensor | ndarray): See :meth:`AugmentationStep.forward`.
            context (Context): See there; with ``takes_labeled`` its labels are those of the
                labelled images.
        """

    def forward(self, view: View, noise: Any, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        partner = 'second_half' if self.takes_labeled else self.partner
        if partner == 'second_half':
            half = len(view.image) // 2
            label = context.label[half:] if self.takes_labeled else context.label[:half]
            noise, context = noise[:half], context._replace(label=label)
        mixing = Mix(self.kept(noise, context), partner)
        return View(mixing.apply(view.image), (*view.mixes, mixing))
