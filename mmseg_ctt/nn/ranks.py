# Copyright (c) mmseg_ctt contributors.
from typing import Any, Callable, List, TypeVar

from mmengine.dist import all_reduce, broadcast_object_list, get_world_size, is_main_process
from torch import Tensor

Result = TypeVar('Result')


def on_main_process(function: Callable[[], Result]) -> Result:
    """Result of a function that the main process alone calls, on all ranks; so is its error.

    For what ranks may find differently, such as files that nodes see at different times.

    Args:
        function (Callable): Its result and its errors can be pickled.
    """
    found: List[Any] = [None, None]
    if is_main_process():
        try:
            found[0] = function()
        except Exception as error:  # or the other ranks would wait for it for ever
            found[1] = error
    broadcast_object_list(found)
    result, failure = found
    if failure is not None:
        raise failure
    return result


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
