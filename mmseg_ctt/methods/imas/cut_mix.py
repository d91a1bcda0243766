# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Sequence, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from ...functional import centred_box_mask, random_centres
from ...nn.augmentation import PixelSource
from ...nn.rng import Draw, sample_noise
from ...nn.settings import check_number, check_range
from .functional import easy_hard_partner


class EasyHardCutMix(nn.Module):
    """CutMix of each image with one of opposite easiness (iMAS).

    All images of a batch are mixed, or none. The side of the box is drawn for each image (released
    code: once a step); what of a box lies outside is lost.

    Args:
        prob (float, optional): Probability that a step mixes. Defaults to None: the mean easiness
            of the batch (released code).
        sides (tuple[float, float]): Range of the sides of the box, as ratio of those of the image.
            Defaults to (0.1, 0.9) (released code).
        lowest_centre (float): Part of each side, from the upper left corner, in which no box is
            centred. Defaults to 0; released code: 1/16.

    Raises:
        TypeError: If a setting is no number, or no range.
        ValueError: If one lies outside [0, 1].
    """

    sections = dict(forward='strong view')  # for benchmarks

    def __init__(
        self,
        prob: Optional[float] = None,
        sides: Tuple[float, float] = (0.1, 0.9),
        lowest_centre: float = 0.0,
    ) -> None:
        super().__init__()
        if prob is not None:
            check_number('model.cut_mix.prob', prob, 0, 1)
        check_range('model.cut_mix.sides', sides, 0, 1)
        check_number('model.cut_mix.lowest_centre', lowest_centre, 0, 0.9)
        self.prob, self.sides, self.lowest_centre = prob, sides, lowest_centre

    def forward(
        self,
        easiness: Tensor,
        size: Tuple[int, int],
        draws: Sequence[Draw],
        rng_stream: str = 'imas/cut_mix',
    ) -> Tuple[PixelSource, Tensor]:
        """Draw what is pasted.

        Args:
            easiness (Tensor): ``(B,)`` in [0, 1].
            size (tuple[int, int]): ``(H, W)`` of the images.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            rng_stream (str): See :func:`sample_noise`.

        Returns:
            tuple[PixelSource, Tensor]: Of the mixed images, which are the images themselves where
            the step does not mix; and whether it does, a bool scalar on the device.
        """
        noise = sample_noise(draws, 4, rng_stream, easiness.device)
        mixes = noise[0, 0] < (easiness.mean() if self.prob is None else self.prob)
        low, high = self.sides
        box = centred_box_mask(
            size,
            low + (high - low) * noise[:, 1],
            random_centres(size, noise[:, 2:], self.lowest_centre),
        )
        own = torch.arange(len(easiness), device=easiness.device).view(-1, 1, 1)
        partner = easy_hard_partner(easiness).view(-1, 1, 1)
        return PixelSource(torch.where(box & mixes, partner, own)), mixes
