# Copyright (c) mmseg_ctt contributors.
"""Directions of features, without NaN for a feature of zeros."""

import torch
from torch import Tensor

TINY = 1e-12  # a shorter feature has no direction


def length(feature: Tensor) -> Tensor:
    """Length ``(..., 1)``; infinite where it is 0, so that dividing gives 0 and no gradient."""
    length = torch.linalg.vector_norm(feature, dim=-1, keepdim=True)
    return torch.where(length > TINY, length, torch.inf)


def unit(feature: Tensor) -> Tensor:
    """Features ``(..., D)`` over their length; zeros where that is 0."""
    return feature / length(feature)
