# Copyright (c) mmseg_ctt contributors.
"""The deepest feature map that the decode head of a member reads: which it is, and its width."""

from typing import Any, Callable, List, Sequence

import torch
import torch.nn as nn
from torch import Tensor

from .feature_maps import as_list, map_of, with_map
from .head_checks import inner_head
from .heads import main_head, map_of_eval
from .member import Segmentor

PROBE = 64  # side of the image by which channels are found out


def reading_head(member: Segmentor) -> Any:
    """The head that reads feature maps: in K-Net the one that makes its first kernels.

    Args:
        member (BaseSegmentor): The segmentor.

    Raises:
        ValueError: If it does not say which maps it reads.
    """
    head = inner_head(main_head(member))
    if not all(hasattr(head, name) for name in ('in_index', 'in_channels')):
        raise ValueError(
            f'model.segmentor.decode_head: {type(head).__name__} has no in_index and in_channels, '
            'which say what feature maps it reads, and this method or auxiliary task reads the '
            'deepest of them: use another head (docs/reference/networks.md), or another method'
        )
    return head


def deepest_index(member: Segmentor, number: int) -> int:
    """Index of the map.

    Args:
        member (BaseSegmentor): The segmentor.
        number (int): Levels that its backbone, or its neck, gives.
    """
    head = reading_head(member)
    alone = map_of_eval(head)
    if alone is not None:
        return min(alone, number - 1)
    return head.in_index[-1] if isinstance(head.in_index, (list, tuple)) else head.in_index


def deepest_map(member: Segmentor, features: Sequence[Any]) -> Tensor:
    """``(B, C, h, w)`` of all levels of a pass."""
    return map_of(features[deepest_index(member, len(features))])


def with_deepest_map(
    member: Segmentor, features: Sequence[Any], change: Callable[[Tensor], Tensor]
) -> List[Any]:
    """All levels of a pass, the deepest map changed.

    Args:
        member (BaseSegmentor): The segmentor.
        features (Sequence): Levels of backbone and neck.
        change (Callable): From the map to another one, ``(B, C, h, w)``.
    """
    changed, index = list(features), deepest_index(member, len(features))
    changed[index] = with_map(changed[index], change(map_of(changed[index])))
    return changed


def deepest_width(member: Segmentor) -> int:
    """Channels of the map.

    A head that concatenates several maps knows their sum alone; a small image tells then.
    """
    head = reading_head(member)
    if isinstance(head.in_channels, (list, tuple)):
        return head.in_channels[-1]
    if not isinstance(head.in_index, (list, tuple)):
        return head.in_channels
    first = next(module for module in member.modules() if isinstance(module, nn.Conv2d))
    training = member.training
    with torch.no_grad():
        image = first.weight.new_zeros(1, first.in_channels, PROBE, PROBE)
        maps = as_list(member.eval().extract_feat(image))
    member.train(training)
    return deepest_map(member, maps).shape[1]
