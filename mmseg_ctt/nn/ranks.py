# Copyright (c) mmseg_ctt contributors.
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of a tensor over all processes, in place; one process does nothing."""
    if get_world_size() > 1:
        all_reduce(value, op='mean')
    return value


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in place; one process does nothing."""
    if get_world_size() > 1:
        all_reduce(value)
    return value
