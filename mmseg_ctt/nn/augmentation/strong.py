# Copyright (c) mmseg_ctt contributors.
"""Strong augmentation of unlabelled images: a list of steps, on the device of the batch.

Every random number belongs to the sample (:mod:`mmseg_ctt.nn.rng`), in a stream that is named
after the view, the position of the step in the list and its type. A step that is added at the end
changes no other's numbers; one that is put in front of others changes theirs.
"""

from itertools import takewhile
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from ..registered import build_steps
from ..rng import Draw, split_noises
from .step import AUGMENTATION_STEPS
from .view import Context, View

# ClassMix, then colours and blur: the strong view of ClassMix and CTT
CLASS_MIX_STEPS = (dict(type='ClassMixing'), dict(type='ColorJitter'), dict(type='GaussianBlur'))


class StrongAugmentation(nn.Module):
    """The strong view of an unlabelled batch.

    Args:
        steps (Sequence[dict]): Configs of registered :class:`AugmentationStep` classes, in their
            order; empty: the strong view is the weak one.

    Raises:
        TypeError: If they are no list of dicts.
        ValueError: For a step or a setting that is not known, two steps that halve the batch, or
            labelled images that are pasted after other images.
    """

    sections = dict(several='strong view')  # for benchmarks

    def __init__(self, steps: Sequence[Dict[str, Any]] = ()) -> None:
        super().__init__()
        built: Any = build_steps('model.strong_augmentation', steps, AUGMENTATION_STEPS)
        self.steps = nn.ModuleList(step for step in built if step.active)
        if sum(step.halves or step.takes_labeled for step in built) > 1:
            raise ValueError(
                'model.strong_augmentation: only one step can have partner="second_half" or '
                '"labeled"'
            )
        mixing = [step for step in built if step.mixes]
        if any(step.takes_labeled for step in mixing[1:]):
            raise ValueError(
                'model.strong_augmentation: the step with partner="labeled" must be the first one '
                'that mixes'
            )

    @property
    def active(self) -> bool:
        """Whether the strong view differs from the weak one."""
        return len(self.steps) > 0

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are pasted onto one another."""
        return any(step.mixes for step in self.steps)

    @property
    def halves(self) -> bool:
        """Whether views have half of the images of the batch."""
        return any(step.halves for step in self.steps)

    @property
    def takes_labeled(self) -> bool:
        """Whether parts of labelled images are pasted onto the unlabelled ones."""
        return any(step.takes_labeled for step in self.steps)

    @property
    def reads_label(self) -> bool:
        """Whether the view depends on the pseudo-labels."""
        return any(step.reads_label for step in self.steps)

    def rgb_only(self) -> List[str]:
        """What of the steps does nothing to images of other than three channels, by step."""
        steps: List[Any] = list(self.steps)
        parts = [(type(step).__name__, step.rgb_only()) for step in steps]
        return [f'{part} of {name}' for name, part in parts if part]

    def forward(
        self,
        image: Tensor,
        label: Tensor,
        draws: Sequence[Draw],
        preprocessor: nn.Module,
        num_classes: int,
        rng_stream: str = 'strong0',
        strength: Optional[Tensor] = None,
    ) -> View:
        """One strong view of a batch; see :meth:`several`, which has several names of views."""
        streams = [rng_stream]
        (view,) = self.several(image, label, draws, preprocessor, num_classes, streams, strength)
        return view

    def several(
        self,
        image: Tensor,
        label: Tensor,
        draws: Sequence[Draw],
        preprocessor: nn.Module,
        num_classes: int,
        rng_streams: Sequence[str],
        strength: Optional[Tensor] = None,
    ) -> List[View]:
        """Several strong views of a batch.

        The steps before the first one that mixes take the images of all views at once.

        Args:
            image (Tensor): ``(B, C, H, W)``, normalised.
            label (Tensor): ``(B, H, W)`` int64 pseudo-labels that ClassMix cuts along.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            preprocessor (nn.Module): Data preprocessor, for its mean, std and channel order.
            num_classes (int): ``K``.
            rng_streams (Sequence[str]): Names of the views; views of other names have other random
                numbers.
            strength (Tensor, optional): ``(B,)`` in [0, 1], see :class:`Context`.

        Returns:
            list[View]: One a name.

        Raises:
            ValueError: If there is one image, and mixing is all that is to be done, or the number
                is odd and has no halves.
        """
        self.check_number(len(image))
        steps: List[Any] = list(self.steps)
        noises = [self._noise(draws, name, num_classes, image.device) for name in rng_streams]
        context = Context(label, num_classes, preprocessor, strength)
        number, joint = len(rng_streams), 0
        views = [View(image)] * number
        if number > 1:
            joint = len(list(takewhile(lambda step: not (step.mixes or step.reads_label), steps)))
        if joint:
            strengths = None if strength is None else torch.cat([strength] * number)
            together = View(torch.cat([image] * number))
            noise = [_joined(of_views) for of_views in zip(*(noise[:joint] for noise in noises))]
            together = _changed(
                together, steps[:joint], noise, context._replace(strength=strengths)
            )
            views = [View(part) for part in together.image.chunk(number)]
        return [
            _changed(view, steps[joint:], noise[joint:], context)
            for view, noise in zip(views, noises)
        ]

    def check_number(self, number: int) -> None:
        """Refuse a number of unlabelled images that cannot be mixed.

        Args:
            number (int): Images of the batch.

        Raises:
            ValueError: As in :meth:`several`.
        """
        if self.halves and number % 2:
            raise ValueError(
                'model.strong_augmentation: partner="second_half" needs an even number of '
                f'unlabelled images in the batch of each GPU, got {number}: set '
                'train_dataloader.sampler.ratio=dict(labeled=1, unlabeled=2) and a batch_size that '
                'three divides'
            )
        steps: List[Any] = list(self.steps)
        if number < 2 and steps and all(step.mixes for step in steps):
            raise ValueError(
                'model.strong_augmentation only mixes the unlabelled images of a '
                'batch, and there is one: raise train_dataloader.batch_size so that '
                'each GPU has two, or add a step that changes colours'
            )

    def _noise(
        self, draws: Sequence[Draw], rng_stream: str, num_classes: int, device: torch.device
    ) -> List[Any]:
        """Random numbers of each step for one view, on the host or on the device."""
        steps: List[Any] = list(self.steps)
        names = [f'{rng_stream}/{i}/{type(step).__name__}' for i, step in enumerate(steps)]
        widths = {name: step.noise_width(num_classes) for name, step in zip(names, steps)}
        on_host = {name for name, step in zip(names, steps) if step.reads_noise_on_host}
        noise = split_noises(draws, widths, device, on_host)
        return [noise[name] for name in names]


def _changed(view: View, steps: Sequence[Any], noise: Sequence[Any], context: Context) -> View:
    """A view after some steps, each with its random numbers."""
    label, strength = context.label, context.strength
    for step, numbers in zip(steps, noise):
        if len(view.image) < len(numbers):  # half of the images, once the others are pasted
            half = len(view.image)
            numbers, label = numbers[:half], context.label[:half]
            strength = None if context.strength is None else context.strength[:half]
        mixed = view.apply_mix(context.label)[: len(numbers)] if step.reads_label else label
        view = step(view, numbers, context._replace(label=mixed, strength=strength))
    return view


def _joined(noise: Sequence[Any]) -> Any:
    """Random numbers of several views, on the host or on the device, as those of one batch."""
    return np.concatenate(noise) if isinstance(noise[0], np.ndarray) else torch.cat(list(noise))
