# Copyright (c) mmseg_ctt contributors.
"""Random choice among the true elements of a mask, without waiting for the device."""

import torch
from torch import Tensor


def random_index(mask: Tensor, uniform: Tensor) -> Tensor:
    """Index of a random true element of each row, all with equal chance.

    Args:
        mask (Tensor): ``(R, N)`` bool.
        uniform (Tensor): ``(R, n)`` in [0, 1): ``n`` choices of each row, with replacement.
            Candidates are counted by index.

    Returns:
        Tensor: ``(R, n)`` int64; 0 where a row has no true element.
    """
    running = mask.cumsum(1)
    count = running[:, -1:]
    rank = (uniform * count).long().minimum(count - 1)  # a number just below 1 may round to 1
    return torch.searchsorted(running, rank, right=True)
