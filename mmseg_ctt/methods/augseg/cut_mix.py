# Copyright (c) mmseg_ctt contributors.
from typing import List, Sequence, Tuple

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from ...functional import centred_box_mask, random_centres
from ...nn.augmentation import PixelSource
from ...nn.rng import Draw, sample_generator
from ...nn.settings import check_choice, check_number
from .functional import injected_source

Beta = Tuple[float, float]


class LabelInjectingCutMix(nn.Module):
    """Adaptive label-injecting CutMix (AugSeg): images in doubt get a part of a labelled image.

    A box of an unlabelled partner is pasted onto each image. With probability ``1 - c``, ``c`` the
    confidence of the image, a smaller box of a labelled image is pasted as well. A box has
    ``1 - l`` of the area of the image, ``l`` of a Beta distribution, less what lies outside. All
    numbers are drawn for each image (the released code draws the two areas once a step).

    Args:
        visible (bool): Whether the labelled box lies on top; see :func:`injected_source`. Defaults
            to True, in released mode False.
        lowest_centre (float): Part of each side, from the upper left corner, in which no box is
            centred. Defaults to 0, in released mode 1/8.
        labeled_beta (tuple[float, float]): Parameters of the Beta distribution of the labelled
            box. Defaults to (8, 2) (released code), a fifth of the area on average.
        unlabeled_beta (tuple[float, float]): Those of the unlabelled one. Defaults to (4, 4)
            (released code).

    Raises:
        TypeError: If a setting is no number, or no pair of them.
        ValueError: If a parameter is not positive, or ``lowest_centre`` outside [0, 1).
    """

    sections = dict(forward='strong view')  # for benchmarks

    def __init__(
        self,
        visible: bool = True,
        lowest_centre: float = 0.0,
        labeled_beta: Beta = (8.0, 2.0),
        unlabeled_beta: Beta = (4.0, 4.0),
    ) -> None:
        super().__init__()
        check_choice('model.cut_mix.visible', visible, (True, False))
        check_number('model.cut_mix.lowest_centre', lowest_centre, 0, 0.9)
        for name, beta in (('labeled_beta', labeled_beta), ('unlabeled_beta', unlabeled_beta)):
            _check_beta(f'model.cut_mix.{name}', beta)
        self.visible, self.lowest_centre = visible, lowest_centre
        self.labeled_beta, self.unlabeled_beta = labeled_beta, unlabeled_beta

    def forward(
        self,
        confidence: Tensor,
        size: Tuple[int, int],
        num_labeled: int,
        draws: Sequence[Draw],
        rng_stream: str = 'augseg/cut_mix',
    ) -> Tuple[PixelSource, Tensor]:
        """Draw what is pasted.

        Args:
            confidence (Tensor): ``(B,)`` in [0, 1], of the unlabelled images.
            size (tuple[int, int]): ``(H, W)`` of all images.
            num_labeled (int): Number of labelled images.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of the unlabelled images.
            rng_stream (str): See :func:`sample_generator`.

        Returns:
            tuple[PixelSource, Tensor]: Of the unlabelled images followed by the labelled ones; and
            ``(B,)`` bool, images into which a label is injected.
        """
        rows = np.array([self._drawn(draw, rng_stream) for draw in draws], np.float32)
        noise = torch.from_numpy(rows).to(confidence.device, non_blocking=True)
        key, coin, labeled_area, unlabeled_area = noise[:, :4].unbind(1)
        labeled_box, unlabeled_box = (
            centred_box_mask(size, area.sqrt(), random_centres(size, centre, self.lowest_centre))
            for area, centre in ((labeled_area, noise[:, 4:6]), (unlabeled_area, noise[:, 6:8]))
        )
        partner = key.argsort()
        injected = coin > confidence
        labeled = partner % num_labeled
        source = injected_source(
            partner, labeled, injected, labeled_box, unlabeled_box, self.visible
        )
        return PixelSource(source), injected

    def _drawn(self, draw: Draw, rng_stream: str) -> List[float]:
        """Key of the partner, coin, areas of the labelled and the unlabelled box, centres."""
        generator = sample_generator(draw, rng_stream)
        areas = [1 - generator.beta(*beta) for beta in (self.labeled_beta, self.unlabeled_beta)]
        key, coin, *centres = generator.random(6, dtype=np.float32)
        return [key, coin, *areas, *centres]


def _check_beta(key: str, beta: Beta) -> None:
    if not isinstance(beta, (tuple, list)) or len(beta) != 2:
        raise TypeError(f'{key} must be two numbers, such as (4, 4), got {beta!r}')
    for value in beta:
        check_number(key, value, 0, ends='(]')
