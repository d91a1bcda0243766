# Copyright (c) mmseg_ctt contributors.
"""Perturbations that drop channels of features."""

from typing import Optional, Sequence

import numpy as np
from torch import Tensor

from ...functional.perturbation import complementary_factors, scaled_channels
from ..rng import Draw, host_noise, sent_to
from ..settings import check_number
from .step import FEATURE_PERTURBATIONS, FeaturePerturbation


@FEATURE_PERTURBATIONS.register_module()
class ChannelDropout(FeaturePerturbation):
    """Each channel of an image is zero, or larger by ``1 / (1 - prob)`` (UniMatch).

    Args:
        prob (float): Probability of a channel to be dropped, below 1. Defaults to 0.5 (UniMatch).
        levels (Sequence[int], optional): See :class:`FeaturePerturbation`. Defaults to None: all
            (UniMatch: the two that DeepLabV3+ reads).
    """

    def __init__(self, prob: float = 0.5, levels: Optional[Sequence[int]] = None) -> None:
        super().__init__(levels)
        check_number(self.key('prob'), prob, 0, 1)
        if prob == 1:
            raise ValueError(f'{self.key("prob")} must be below 1: all channels would be zero')
        self.prob = prob

    def perturb(self, feature: Tensor, draws: Sequence[Draw], rng_stream: str) -> Tensor:
        """See :class:`FeaturePerturbation`."""
        noise = host_noise(draws, feature.shape[1], rng_stream)
        factor = (noise >= self.prob) / np.float32(1 - self.prob)
        return scaled_channels(feature, sent_to(factor, feature.device))


@FEATURE_PERTURBATIONS.register_module()
class ComplementaryChannelDropout(FeaturePerturbation):
    """Two views of an image keep one half of the channels each, times 2 (UniMatch V2).

    The batch holds the first views of all images, then the second ones. Half of the images
    (rounded down) keep all channels in both views. Levels of the same number of channels drop the
    same ones.

    Args:
        levels (Sequence[int], optional): See :class:`FeaturePerturbation`. Defaults to None: all
            (UniMatch V2).
    """

    num_views = 2

    def stream(self, rng_stream: str, level: int) -> str:
        """One name for all levels."""
        return rng_stream

    def perturb(self, feature: Tensor, draws: Sequence[Draw], rng_stream: str) -> Tensor:
        """See :class:`FeaturePerturbation`; ``feature`` is ``(2B, C, h, w)``."""
        noise = host_noise(draws, feature.shape[1] + 1, rng_stream)
        first = complementary_factors(noise[:, 1:], noise[:, 0]).astype(np.float32)
        return scaled_channels(feature, sent_to(np.concatenate([first, 2 - first]), feature.device))
