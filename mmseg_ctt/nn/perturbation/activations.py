# Copyright (c) mmseg_ctt contributors.
"""Perturbations of single activations and positions of features."""

from typing import Optional, Sequence, Tuple

from torch import Tensor

from ...functional.perturbation import feature_dropout, uniform_feature_noise
from ...functional.pixel_noise import pixel_noise
from ..rng import Draw, sample_noise
from ..settings import check_number, check_range
from .step import FEATURE_PERTURBATIONS, FeaturePerturbation


@FEATURE_PERTURBATIONS.register_module()
class FeatureNoise(FeaturePerturbation):
    """Each activation is multiplied by ``1 + u``, ``u`` uniform in ``[-limit, limit]`` (CCT).

    Args:
        limit (float): Defaults to 0.3 (CCT).
        levels (Sequence[int], optional): See :class:`FeaturePerturbation`. Defaults to None: all.
    """

    def __init__(self, limit: float = 0.3, levels: Optional[Sequence[int]] = None) -> None:
        super().__init__(levels)
        check_number(self.key('limit'), limit, 0)
        self.limit = limit

    def perturb(self, feature: Tensor, draws: Sequence[Draw], rng_stream: str) -> Tensor:
        """See :class:`FeaturePerturbation`."""
        key = sample_noise(draws, 1, rng_stream, feature.device).flatten()
        channels, height, width = feature.shape[1:]
        noise = pixel_noise(key, channels * height, width).view(feature.shape)
        return uniform_feature_noise(feature, self.limit, noise)


@FEATURE_PERTURBATIONS.register_module()
class FeatureDropout(FeaturePerturbation):
    """The most active positions of an image become zero (feature drop of CCT).

    Args:
        factor (tuple[float, float]): Range of the ratio of the largest activation from which a
            position is dropped; activations are means over channels. Defaults to (0.7, 0.9) (CCT).
        levels (Sequence[int], optional): See :class:`FeaturePerturbation`. Defaults to None: all.
    """

    reads_valid = True

    def __init__(
        self, factor: Tuple[float, float] = (0.7, 0.9), levels: Optional[Sequence[int]] = None
    ) -> None:
        super().__init__(levels)
        check_range(self.key('factor'), factor, 0, 1)
        self.factor = factor

    def perturb(
        self,
        feature: Tensor,
        draws: Sequence[Draw],
        rng_stream: str,
        valid: Optional[Tensor] = None,
    ) -> Tensor:
        """See :class:`FeaturePerturbation`; ``valid`` as in :func:`feature_dropout`."""
        low, high = self.factor
        noise = sample_noise(draws, 1, rng_stream, feature.device).flatten()
        return feature_dropout(feature, low + (high - low) * noise, valid)
