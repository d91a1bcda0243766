# Copyright (c) mmseg_ctt contributors.
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from ...nn.random import Draw


def mixing_shares(
    draws: Sequence[Draw], limit: float, alpha: float = 1.0, stream: int = 0
) -> Tensor:
    """``min(b, 1 - b)`` with ``b ~ Beta(alpha, alpha)``, drawn again until below ``limit``.

    The labelled image's share of each mixed image, which belongs to the sample as all random
    numbers do.

    Args:
        draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each of ``B`` samples.
        limit (float): In (0, 0.5].
        alpha (float): Defaults to 1, uniform (released code).
        stream (int): Tells independent uses of one sample apart. Defaults to 0.

    Returns:
        Tensor: ``(B,)`` float32 in [0, limit), on the host.
    """
    return torch.tensor([_share(seed, number, limit, alpha, stream) for seed, number in draws])


def _share(seed: int, number: int, limit: float, alpha: float, stream: int) -> float:
    generator = np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, number, 0]))
    while True:
        share = generator.beta(alpha, alpha)
        share = min(share, 1 - share)
        if share < limit:
            return share
