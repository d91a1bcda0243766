# Copyright (c) mmseg_ctt contributors.
"""Running statistics of normalisation layers, which each rank takes from its own images."""

from typing import List

import torch
import torch.nn as nn
from mmengine.dist import get_world_size
from torch import Tensor
from torch.nn.modules.batchnorm import SyncBatchNorm, _NormBase

from ..nn.ranks import mean_over_ranks


@torch.no_grad()
def mean_statistics(model: nn.Module) -> None:
    """Give every rank the mean of the running statistics of all ranks; one process does nothing.

    A model is validated and saved as one network then, and a resumed run begins with what every
    rank had. The mean is taken in double precision, so that equal values stay as they are, bit for
    bit. Layers that are synchronised in the step (SyncBN) are left out.

    Args:
        model (nn.Module): With all its layers; of the same layers on all ranks.
    """
    statistics = running_statistics(model)
    if get_world_size() == 1 or not statistics:
        return
    flat = mean_over_ranks(torch.cat([value.double().flatten() for value in statistics]))
    for value, mean in zip(statistics, flat.split([value.numel() for value in statistics])):
        value.copy_(mean.view_as(value))


def running_statistics(model: nn.Module) -> List[Tensor]:
    """Means and variances of all layers that take them from the images of one rank."""
    return [
        value
        for layer in model.modules()
        if isinstance(layer, _NormBase) and not isinstance(layer, SyncBatchNorm)
        for value in (layer.running_mean, layer.running_var)
        if value is not None
    ]
