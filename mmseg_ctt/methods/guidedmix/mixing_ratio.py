# Copyright (c) mmseg_ctt contributors.
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from ...nn.rng import Draw, sample_generator


def mixing_ratios(
    draws: Sequence[Draw], limit: float, alpha: float = 1.0, rng_stream: str = 'mixing_ratio'
) -> Tensor:
    """``min(b, 1 - b)`` with ``b ~ Beta(alpha, alpha)``, drawn again until below ``limit``.

    The ratio of the labelled image in each mixed image, which belongs to the sample as all random
    numbers do.

    Args:
        draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each of ``B`` samples.
        limit (float): In (0, 0.5].
        alpha (float): Defaults to 1, uniform (released code).
        rng_stream (str): See :func:`sample_generator`.

    Returns:
        Tensor: ``(B,)`` float32 in [0, limit), on the host.
    """
    ratios = [_ratio(draw, limit, alpha, rng_stream) for draw in draws]
    return torch.from_numpy(np.array(ratios, np.float32))


def _ratio(draw: Draw, limit: float, alpha: float, rng_stream: str) -> float:
    generator = sample_generator(draw, rng_stream)
    while True:
        ratio = generator.beta(alpha, alpha)
        ratio = min(ratio, 1 - ratio)
        if ratio < limit:
            return ratio
