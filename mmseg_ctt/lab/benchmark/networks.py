# Copyright (c) mmseg_ctt contributors.
"""The networks of a model and the calls that run them."""

from typing import Any, Iterator, List, Sequence, Tuple

from mmengine.model import BaseModel
from mmseg.models.segmentors import BaseSegmentor
from torch import nn

from ...methods.networks import MemberNetworks

HEADS = ('decode_head', 'auxiliary_head')
# the last two are of heads that learn from tags
HEAD_CALLS = ('forward', 'forward_with_embedding', 'class_maps', 'task_maps')


def networks_of(model: BaseModel) -> List[BaseSegmentor]:
    """Every member, or a plain segmentor itself."""
    if isinstance(model, MemberNetworks):
        return [model.member(name) for name in model.members]
    return [model]


def heads_of(network: nn.Module, names: Sequence[str] = HEADS) -> List[nn.Module]:
    """Decode heads and auxiliary heads of one segmentor."""
    heads: List[nn.Module] = []
    for name in names:
        head = getattr(network, name, None)
        if head is not None:
            heads += head if isinstance(head, nn.ModuleList) else [head]
    return heads


def head_calls(head: nn.Module) -> List[Tuple[Any, str]]:
    """``(owner, method)`` of everything that runs a head."""
    return [(head, name) for name in HEAD_CALLS if hasattr(head, name)]


def network_calls(network: nn.Module) -> Iterator[Tuple[Any, str]]:
    """``(owner, method)`` of everything that runs a part of a segmentor."""
    yield network, 'extract_feat'
    for head in heads_of(network):
        yield from head_calls(head)
