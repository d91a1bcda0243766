# Copyright (c) mmseg_ctt contributors.
from typing import Any, Mapping, Optional, Sequence

import torch
from torch import Tensor

from ...functional import pamr
from ...nn import settings
from .functional import hard_map

EPS = 1e-6  # lowest weight of the valid neighbours that a mean is divided by


class Refinement:
    """Refinement of the localiser's maps by the colours of the image (PAMR).

    Args:
        dilations (Sequence[int]): Distances of the neighbours, in pixels of the feature map.
            Defaults to (1, 2, 4, 8, 12).
        iterations (int): Defaults to 10.

    Raises:
        TypeError: If a number is none.
        ValueError: If there is no dilation, or a number is below 1.
    """

    def __init__(self, dilations: Sequence[int] = (1, 2, 4, 8, 12), iterations: int = 10) -> None:
        if not isinstance(dilations, (list, tuple)) or not dilations:
            raise ValueError(
                f'model.refinement.dilations must be a list such as (1, 2, 4), got {dilations!r}'
            )
        for dilation in dilations:
            settings.check_number('model.refinement.dilations', dilation, 1, whole=True)
        settings.check_number('model.refinement.iterations', iterations, 1, whole=True)
        self.dilations, self.iterations = tuple(dilations), iterations

    def __call__(self, image: Tensor, mask: Tensor, valid: Optional[Tensor] = None) -> Tensor:
        """Maps ``(B, T, h, w)`` by an image ``(B, C, h, w)`` in [0, 1].

        Means are those of the pixels where ``valid`` ``(B, h, w)`` is True.
        """
        if valid is None:
            return pamr(image, mask, self.dilations, self.iterations)
        inside = valid.unsqueeze(1).to(mask.dtype)
        maps = torch.cat([mask * inside, inside], dim=1)
        sums = pamr(image, maps, self.dilations, self.iterations)
        return sums[:, :-1] / sums[:, -1:].clamp(min=EPS)


class HardMap:
    """Settings of :func:`hard_map`.

    Args:
        top (float): Ratio of a class's highest probability that a pixel must exceed. Defaults to
            0.6.
        background (float): The same for the background. Defaults to 0.7.
        low (float): Lowest threshold. Defaults to 0.2.
        drop_ambiguous (bool): Whether pixels that several classes claim are dropped. Defaults to
            True.

    Raises:
        TypeError: If a number is none, or ``drop_ambiguous`` no bool.
        ValueError: If a number lies outside [0, 1].
    """

    def __init__(
        self,
        top: float = 0.6,
        background: float = 0.7,
        low: float = 0.2,
        drop_ambiguous: bool = True,
    ) -> None:
        for name, value in (('top', top), ('background', background), ('low', low)):
            settings.check_number(f'model.hard_map.{name}', value, 0, 1)
        check_switches(**{'hard_map.drop_ambiguous': drop_ambiguous})
        self.settings = top, background, low, drop_ambiguous

    def __call__(self, mask: Tensor, valid: Optional[Tensor] = None) -> Tensor:
        """Claimed pixels ``(B, T, h, w)``, 0 or 1, of probabilities; none where not ``valid``."""
        return hard_map(mask, *self.settings, valid=valid)


def check_switches(**given: Any) -> None:
    """Refuse settings that must be True or False and are not.

    Args:
        given (Any): By key in ``model``.

    Raises:
        TypeError: Names the key.
    """
    for name, value in given.items():
        if not isinstance(value, bool):
            raise TypeError(f'model.{name} must be True or False, got {value!r}')


def check_terms(weights: Mapping[str, float], refinement: Any, hard_map: Any) -> None:
    """Refuse weights that leave the method without an effect, and settings without one.

    Args:
        weights (Mapping[str, float]): Of the losses.
        refinement (bool | dict): Of the config.
        hard_map (dict, optional): Of the config.

    Raises:
        ValueError: Names the key.
    """
    for term, part in (('cls', 'the localiser'), ('seg', 'the network')):
        if not weights[term]:
            raise ValueError(
                f'model.loss_weights.{term}=0: {part} would not learn the new classes; set another '
                'weight'
            )
    for name, given in (('refinement', refinement not in (True, False)), ('hard_map', hard_map)):
        if given and not weights['sss']:
            raise ValueError(
                f'model.{name} would be unused with model.loss_weights.sss=0: remove one of them'
            )
