# Copyright (c) mmseg_ctt contributors.
"""Strong augmentation of unlabelled images: a list of steps, on the device of the batch.

Every random number belongs to the sample (:mod:`mmseg_ctt.nn.rng`), in a stream that is named
after the view and the step, so that adding a step changes the numbers of no other.
"""

import math
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from mmengine.registry import Registry
from torch import Tensor

from ..functional import class_mix_mask, cut_mix_mask, gaussian_blur, jitter_colours, mix
from ..functional.colour import grey
from . import settings
from .rng import Draw, sample_noises

AUGMENTATION_STEPS = Registry('step of the strong augmentation')


class View(NamedTuple):
    """Strongly augmented images, and how they were mixed.

    Attributes:
        image (Tensor): ``(B, 3, H, W)``, normalised.
        masks (tuple[Tensor, ...]): ``(B, H, W)`` bool, one a mixing: True where the image is kept,
            False where that of its batch neighbour is.
    """

    image: Tensor
    masks: Tuple[Tensor, ...] = ()

    def apply_mix(self, maps: Tensor, batch_dim: int = 0) -> Tensor:
        """Maps ``(B, H, W)`` or ``(B, C, H, W)``, mixed as the images were.

        With ``batch_dim=1`` they are the maps ``(T, B, H, W)`` of several teachers.
        """
        for mask in self.masks:
            maps = mix(maps, mask, batch_dim=batch_dim)
        return maps


class Context(NamedTuple):
    """What a step may know besides the images.

    Attributes:
        label (Tensor): ``(B, H, W)`` int64 pseudo-labels, mixed as the images are so far.
        num_classes (int): ``K``.
        preprocessor (nn.Module): Data preprocessor; its mean, std and channel order.
        strength (Tensor, optional): ``(B,)`` in [0, 1], scales the magnitude of each image's
            changes of colour.
    """

    label: Tensor
    num_classes: int
    preprocessor: nn.Module
    strength: Optional[Tensor] = None

    def scaled(self, magnitude: Tensor) -> Tensor:
        """``(B, n)`` magnitudes times the strength of each image."""
        return magnitude if self.strength is None else magnitude * self.strength.unsqueeze(1)


class AugmentationStep(nn.Module):
    """One step of :class:`StrongAugmentation`.

    Args:
        prob (float): Ratio of images that the step changes.

    Raises:
        ValueError: If ``prob`` lies outside [0, 1].
    """

    mixes = False  # whether images of a batch are pasted onto one another

    def __init__(self, prob: float) -> None:
        super().__init__()
        name = type(self).__name__
        if not 0 <= prob <= 1:
            raise ValueError(
                f'model.strong_augmentation: {name}.prob must be in [0, 1], got {prob}'
            )
        self.prob = prob

    @property
    def active(self) -> bool:
        """Whether the step changes anything."""
        return self.prob > 0

    def noise_width(self, num_classes: int) -> int:
        """Random numbers that an image needs; the first one decides whether it is changed."""
        raise NotImplementedError

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """Change a view.

        Args:
            view (View): As the steps before have left it.
            noise (Tensor): ``(B, noise_width)`` uniform in [0, 1).
            context (Context): See there.
        """
        raise NotImplementedError

    def chosen(self, noise: Tensor) -> Tensor:
        """``(B, 1, 1, 1)`` bool, images that are changed."""
        return (noise[:, 0] < self.prob).view(-1, 1, 1, 1)


class MixingStep(AugmentationStep):
    """A step that keeps a part of each image and fills the rest with its batch neighbour."""

    mixes = True

    def kept(self, noise: Tensor, context: Context) -> Tensor:
        """``(B, H, W)`` bool, pixels of each image that stay.

        Args:
            noise (Tensor): ``(B, noise_width - 1)`` uniform in [0, 1).
            context (Context): See there.
        """
        raise NotImplementedError

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        mask = self.kept(noise[:, 1:], context)
        if self.prob < 1:
            mask = mask | ~self.chosen(noise).view(-1, 1, 1)
        return View(mix(view.image, mask), (*view.masks, mask))


@AUGMENTATION_STEPS.register_module()
class ClassMixing(MixingStep):
    """ClassMix (arXiv 2007.07936): half of the classes that the pseudo-labels show stay.

    Args:
        prob (float): Ratio of images that are mixed. Defaults to 1.
    """

    def __init__(self, prob: float = 1.0) -> None:
        super().__init__(prob)

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

    Raises:
        ValueError: If the range does not lie in [0, 1], or there is no rectangle.
    """

    def __init__(
        self, area: Tuple[float, float] = (0.5, 0.5), boxes: int = 1, prob: float = 1.0
    ) -> None:
        super().__init__(prob)
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


@AUGMENTATION_STEPS.register_module()
class ColorJitter(AugmentationStep):
    """Random brightness, contrast, saturation and hue of de-normalised images in [0, 1].

    Args:
        brightness (float): Half range of the factor. Defaults to 0.25 (CTT released code).
        contrast (float): As ``brightness``.
        saturation (float): As ``brightness``.
        hue (float): Half range of the shift, in turns of the colour circle, at most 0.5.
        prob (float): Ratio of images that are changed. Defaults to 0.8.
    """

    ranges: Tensor

    def __init__(
        self,
        brightness: float = 0.25,
        contrast: float = 0.25,
        saturation: float = 0.25,
        hue: float = 0.25,
        prob: float = 0.8,
    ) -> None:
        super().__init__(prob)
        ranges = torch.tensor([brightness, contrast, saturation, hue])
        self.register_buffer('ranges', ranges, persistent=False)

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 5

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        change = context.scaled((noise[:, 1:] * 2 - 1) * self.ranges).view(-1, 4, 1, 1, 1)
        plain = denormalize(view.image, context.preprocessor)
        plain = jitter_colours(plain, *(change[:, :3] + 1).unbind(1), change[:, 3])
        changed = normalize(plain, context.preprocessor)
        return view._replace(image=torch.where(self.chosen(noise), changed, view.image))


@AUGMENTATION_STEPS.register_module()
class RandomGreyscale(AugmentationStep):
    """Images without colour.

    Args:
        prob (float): Ratio of images that lose their colour. Defaults to 0.2 (UniMatch).
    """

    def __init__(self, prob: float = 0.2) -> None:
        super().__init__(prob)

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 1

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        plain = grey(denormalize(view.image, context.preprocessor)).expand_as(view.image)
        changed = normalize(plain.clone(), context.preprocessor)
        return view._replace(image=torch.where(self.chosen(noise), changed, view.image))


@AUGMENTATION_STEPS.register_module()
class GaussianBlur(AugmentationStep):
    """Blur with a random width.

    Args:
        sigma (tuple[float, float]): Range of the Gaussian's standard deviation, pixels. Defaults
            to (0.15, 1.15) (CTT released code).
        prob (float): Ratio of images that are blurred. Defaults to 0.5.
    """

    def __init__(self, sigma: Tuple[float, float] = (0.15, 1.15), prob: float = 0.5) -> None:
        super().__init__(prob)
        self.sigma = sigma

    def noise_width(self, num_classes: int) -> int:
        """See :class:`AugmentationStep`."""
        return 2

    def forward(self, view: View, noise: Tensor, context: Context) -> View:
        """See :class:`AugmentationStep`."""
        low, high = self.sigma
        sigma = low + context.scaled((high - low) * noise[:, 1:])
        # three standard deviations hold all of the Gaussian; a wider kernel only costs time
        side = 2 * math.ceil(3 * high) + 1
        blurred = gaussian_blur(view.image, sigma, side)
        return view._replace(image=torch.where(self.chosen(noise), blurred, view.image))


class StrongAugmentation(nn.Module):
    """The strong view of an unlabelled batch.

    Args:
        steps (Sequence[dict]): Configs of registered :class:`AugmentationStep` classes, in their
            order; empty: the strong view is the weak one.

    Raises:
        TypeError: If they are no list of dicts.
        ValueError: For a step or a setting that is not known.
    """

    def __init__(self, steps: Sequence[Dict[str, Any]] = ()) -> None:
        super().__init__()
        built = [_build_step(step) for step in steps]
        self.steps = nn.ModuleList(step for step in built if step.active)

    @property
    def active(self) -> bool:
        """Whether the strong view differs from the weak one."""
        return len(self.steps) > 0

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are pasted onto one another."""
        return any(step.mixes for step in self.steps)

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
        """Augment one batch.

        Args:
            image (Tensor): ``(B, 3, H, W)``, normalised.
            label (Tensor): ``(B, H, W)`` int64 pseudo-labels that ClassMix cuts along.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            preprocessor (nn.Module): Data preprocessor, for its mean, std and channel order.
            num_classes (int): ``K``.
            rng_stream (str): Name of the view; views of other names have other random numbers.
            strength (Tensor, optional): ``(B,)`` in [0, 1], see :class:`Context`.

        Raises:
            ValueError: If there is one image, and mixing is all that is to be done.
        """
        steps: List[AugmentationStep] = list(self.steps)
        if len(image) < 2 and steps and all(step.mixes for step in steps):
            raise ValueError(
                'model.strong_augmentation only mixes the unlabelled images of a '
                'batch, and there is one: raise train_dataloader.batch_size so that '
                'each GPU has two, or add a step that changes colours'
            )
        names = [f'{rng_stream}/{i}/{type(step).__name__}' for i, step in enumerate(steps)]
        view = View(image)
        if not steps:
            return view
        widths = {name: step.noise_width(num_classes) for name, step in zip(names, steps)}
        noise = sample_noises(draws, widths, image.device)
        for name, step in zip(names, steps):
            context = Context(view.apply_mix(label), num_classes, preprocessor, strength)
            view = step(view, noise[name], context)
        return view


def denormalize(image: Tensor, preprocessor: nn.Module) -> Tensor:
    """Red, green, blue in [0, 1] of normalised images ``(B, 3, H, W)``."""
    mean, std = _statistics(preprocessor, image)
    plain = (image * std).add_(mean).div_(255).clamp_(0, 1)
    return plain if _is_rgb(preprocessor) else plain.flip(1)


def normalize(image: Tensor, preprocessor: nn.Module) -> Tensor:
    """The inverse of :func:`denormalize`; ``image`` is changed."""
    mean, std = _statistics(preprocessor, image)
    image = image if _is_rgb(preprocessor) else image.flip(1)
    return image.mul_(255).sub_(mean).div_(std)


def _statistics(preprocessor: nn.Module, image: Tensor) -> Tuple[Tensor, Tensor]:
    if not hasattr(preprocessor, 'mean'):
        return image.new_zeros(1), image.new_ones(1)
    return preprocessor.mean, preprocessor.std


def _is_rgb(preprocessor: nn.Module) -> bool:
    """Whether the network's first channel is red."""
    return getattr(preprocessor, 'channel_conversion', True)


def _build_step(given: Dict[str, Any]) -> AugmentationStep:
    key = 'model.strong_augmentation'
    if not isinstance(given, dict) or 'type' not in given:
        raise TypeError(f'{key} must be a list of dicts with a type, got the entry {given!r}')
    found = AUGMENTATION_STEPS.get(given['type'])
    if found is None:
        known = sorted(AUGMENTATION_STEPS.module_dict)
        raise ValueError(
            f'{key} has a step of the unknown type {given["type"]!r}; known are {known}'
        )
    own = {name: value for name, value in given.items() if name != 'type'}
    settings.check_settings(f'{key}: {given["type"]}', own, found)
    return found(**own)
