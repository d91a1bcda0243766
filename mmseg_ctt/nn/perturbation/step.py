# Copyright (c) mmseg_ctt contributors.
"""What a perturbation of features is, and a list of them."""

from abc import ABC, abstractmethod
from typing import Any, Dict, List, Optional, Sequence

import torch.nn as nn
from mmengine.registry import Registry
from torch import Tensor

from ...functional.pseudo_label import downsample_nearest
from ..feature_maps import joined, map_of, split_output, with_map
from ..registered import build_steps
from ..rng import Draw
from .passes import Perturbation

KEY = 'model.feature_perturbation'
# without a location mmengine warns of every run that the package is not installed
FEATURE_PERTURBATIONS = Registry(
    'perturbation of features', locations=['mmseg_ctt.nn.perturbation']
)


class FeaturePerturbation(nn.Module, ABC):
    """A random change of feature maps; a class token beside a map stays as it is.

    Args:
        levels (Sequence[int], optional): Positions of the changed maps in the output of the
            backbone (or neck), also from its end. Defaults to None: all.

    Raises:
        TypeError: If ``levels`` are no list of whole numbers.
    """

    num_views = 1  # views of each image that the features hold, one after the other
    reads_valid = False  # whether perturb takes ``valid`` too

    def __init__(self, levels: Optional[Sequence[int]] = None) -> None:
        super().__init__()
        whole = isinstance(levels, (list, tuple)) and all(type(i) is int for i in levels)
        if not (levels is None or whole):
            raise TypeError(
                f'{self.key("levels")} must be a list of whole numbers, such as [0, -1], '
                f'got {levels!r}'
            )
        self.levels = levels

    @classmethod
    def key(cls, setting: str) -> str:
        """Place of a setting in the config, for messages."""
        return f'{KEY}: {cls.__name__}.{setting}'

    @abstractmethod
    def perturb(self, feature: Tensor, draws: Sequence[Draw], rng_stream: str) -> Tensor:
        """Change one map.

        A step with ``reads_valid`` also takes ``valid``, ``(num_views * B, h, w)`` bool, False in
        the padding; by default nothing is padded.

        Args:
            feature (Tensor): ``(num_views * B, C, h, w)``. Receives the gradient.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            rng_stream (str): Name of the random numbers.
        """

    def stream(self, rng_stream: str, level: int) -> str:
        """Name of the random numbers of a level; levels are independent."""
        return f'{rng_stream}/{level}'

    def forward(
        self,
        features: List[Any],
        draws: Sequence[Draw],
        rng_stream: str,
        valid: Optional[Tensor] = None,
    ) -> List[Any]:
        """Change the maps of a batch.

        Args:
            features (list): ``(num_views * B, C_l, h_l, w_l)`` of every level, see
                :mod:`..feature_maps`.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            rng_stream (str): Name of the random numbers; other names give independent ones.
            valid (Tensor, optional): ``(num_views * B, H, W)`` bool, pixels of the images that are
                not padding. Defaults to None: all.

        Returns:
            list: Of the same shapes.

        Raises:
            ValueError: If a level does not exist.
        """
        changed = list(features)
        for level in self.chosen(len(features)):
            stream, feature = self.stream(rng_stream, level), map_of(features[level])
            more = {}
            if self.reads_valid and valid is not None:
                more = dict(valid=downsample_nearest(valid, feature.shape[2:]))
            made = self.perturb(feature, draws, stream, **more)
            changed[level] = with_map(features[level], made)
        return changed

    def chosen(self, number: int) -> List[int]:
        """Positions of the changed maps of ``number``."""
        if self.levels is None:
            return list(range(number))
        for level in self.levels:
            if not -number <= level < number:
                raise ValueError(
                    f'{self.key("levels")}: there is no level {level}, the backbone has {number} '
                    f'feature maps: choose from 0 to {number - 1}'
                )
        return sorted({level % number for level in self.levels})


class FeaturePerturbations(nn.Module):
    """Perturbations one after the other, from ``model.feature_perturbation``.

    Args:
        steps (Sequence[dict]): Configs of registered :class:`FeaturePerturbation` classes; empty:
            features stay as they are.
        num_views (int): Views of each image that the features hold, one after the other. A step
            of one view changes each by random numbers of its own. Defaults to 1.

    Raises:
        TypeError: If they are no list of dicts with a type.
        ValueError: For a type or a setting that is not known, or a step of more views than there
            are.
    """

    sections = dict(forward='perturbation')  # for benchmarks

    def __init__(self, steps: Sequence[Dict[str, Any]] = (), num_views: int = 1) -> None:
        super().__init__()
        built: Any = build_steps(KEY, steps, FEATURE_PERTURBATIONS)
        for step in built:
            if step.num_views not in (1, num_views):
                raise ValueError(
                    f'{KEY}: {type(step).__name__} changes {step.num_views} views of an image '
                    f'together, and this method perturbs {num_views}: take another, such as '
                    'ChannelDropout'
                )
        self.steps, self.num_views = built, num_views

    def forward(
        self,
        features: List[Any],
        draws: Sequence[Draw],
        rng_stream: str,
        valid: Optional[Tensor] = None,
    ) -> List[Any]:
        """See :class:`FeaturePerturbation`."""
        steps: List[Any] = list(self.steps)
        for i, step in enumerate(steps):
            stream = f'{rng_stream}/{i}/{type(step).__name__}'
            if step.num_views == self.num_views:
                features = step(features, draws, stream, valid)
            else:
                features = self._each_view(step, features, draws, stream, valid)
        return features

    def _each_view(
        self,
        step: nn.Module,
        features: List[Any],
        draws: Sequence[Draw],
        rng_stream: str,
        valid: Optional[Tensor],
    ) -> List[Any]:
        """Change the views one by one."""
        sizes = [len(map_of(features[0])) // self.num_views] * self.num_views
        views = zip(*(split_output(level, sizes) for level in features))
        masks = [None] * self.num_views if valid is None else valid.chunk(self.num_views)
        changed = [
            step(list(maps), draws, f'{rng_stream}/{v}', mask)
            for v, (maps, mask) in enumerate(zip(views, masks))
        ]
        return [joined(maps) for maps in zip(*changed)]

    def of(
        self, draws: Sequence[Draw], rng_stream: str = 'features', valid: Optional[Tensor] = None
    ) -> Perturbation:
        """The perturbation of the features of given images.

        Args:
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            rng_stream (str): Name of the random numbers. Defaults to 'features'.
            valid (Tensor, optional): See :meth:`FeaturePerturbation.forward`; of all views.
                Defaults to None.
        """
        return lambda features: self(features, draws, rng_stream, valid)
