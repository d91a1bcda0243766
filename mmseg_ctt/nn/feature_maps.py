# Copyright (c) mmseg_ctt contributors.
"""What backbone and neck give: a list of levels, one map each.

A vision transformer with ``output_cls_token`` gives a list of the map and its class token at each
level (``DPTHead`` reads both). What changes or reads maps leaves the token as it is.
"""

from typing import Any, Callable, List, Sequence

import torch
from torch import Tensor


def as_list(features: Any) -> List[Any]:
    """Levels of a backbone or neck, which may give a single map."""
    return [features] if isinstance(features, Tensor) else list(features)


def map_of(level: Any) -> Tensor:
    """``(B, C, h, w)`` map of a level."""
    return level if isinstance(level, Tensor) else level[0]


def with_map(level: Any, changed: Tensor) -> Any:
    """The level with another map.

    Args:
        level (Tensor | list): Of the features.
        changed (Tensor): ``(B, C, h, w)``.
    """
    return changed if isinstance(level, Tensor) else type(level)([changed, *level[1:]])


def on_tensors(function: Callable[..., Tensor], *levels: Any) -> Any:
    """A level of what a function makes of the tensors of one or of several equal levels.

    Args:
        function (Callable): Of one tensor of each level.
        levels (Tensor | list): Of the same structure.
    """
    if isinstance(levels[0], Tensor):
        return function(*levels)
    return type(levels[0])(on_tensors(function, *parts) for parts in zip(*levels))


def joined(levels: Sequence[Any]) -> Any:
    """One level of consecutive parts of a batch."""
    return on_tensors(lambda *tensors: torch.cat(tensors), *levels)


def split_output(output: Any, sizes: Sequence[int]) -> List[Any]:
    """A level, or the output of a head, for the consecutive parts of a batch.

    Args:
        output (Tensor | tuple | list): Nested in any way; None for every part if None.
        sizes (Sequence[int]): Images of each part.
    """
    if output is None:
        return [None] * len(sizes)
    if isinstance(output, Tensor):
        return list(output.split(list(sizes)))
    parts = zip(*(split_output(entry, sizes) for entry in output))
    return [type(output)(part) for part in parts]
