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


def max_over_ranks(value: Tensor) -> Tensor:
    """The largest of a tensor over all processes, in place; one process does nothing."""
    if get_world_size() > 1:
        all_reduce(value, op='max')
    return value


def joint_sum(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, with a gradient; one process does nothing.

    The gradient is that of this process times the number of processes, so that the mean which DDP
    takes is the gradient of the sum.
    """
    world = get_world_size()
    if world == 1:
        return value
    total = sum_over_ranks(value.detach().clone())
    return total + world * (value - value.detach())
