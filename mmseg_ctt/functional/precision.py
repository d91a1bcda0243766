# Copyright (c) mmseg_ctt contributors.
"""Precision in which losses and scores are computed."""

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> Tensor:
    """The tensor in float32, whatever autocast made of it; float64 stays as it is."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
