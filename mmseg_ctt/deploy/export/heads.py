# Copyright (c) mmseg_ctt contributors.
"""Equivalents of decode heads of this package in stock mmseg."""

from typing import Mapping, Tuple

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .foundation import stock_linear_head
from .members import State
from .stock_types import PACKAGE, type_name

_OWN_KEYS = ('type', 'dilations', 'branches', 'embedding_dim', 'channels', 'init_cfg')


def stock_head(head: Mapping, state: State) -> Tuple[dict, State]:
    """Config and weights of an equivalent stock head; heads of stock mmseg are kept.

    ``DeepLabV2Head``, a sum of dilated classifiers, is an ``ASPPHead`` without normalisation and
    activation: its branches are the classifiers, and its bottleneck sums them. For ``LinearHead``
    see :func:`stock_linear_head`. ``CodeHead`` with ``scores='likelihood'`` is the head in it,
    whose classifier is multiplied by the code.

    Args:
        head (Mapping): Config of the decode head.
        state (dict[str, Tensor]): State of the whole segmentor.

    Returns:
        tuple[dict, dict[str, Tensor]]: The head's config and the segmentor's state.

    Raises:
        ValueError: If the class of the head says by ``stock_hint`` why stock mmseg cannot hold it.
    """
    if type_name(head) == 'CodeHead' and head.get('scores') == 'likelihood':
        return stock_head(*_head_of_classes(head, state))
    refuse_by_hint(head)
    if head.get('type') == 'LinearHead':
        return stock_linear_head(head, state)
    dilations = list(head.get('dilations', (6, 12, 18, 24)))[: head.get('branches')]
    # stock ASPP has a 1x1 branch at dilation 1, where this head has a 3x3 one
    if head.get('type') != 'DeepLabV2Head' or 1 in dilations:
        return dict(head), state
    classes = state['decode_head.conv_seg.0.bias'].numel()
    rest = {key: value for key, value in head.items() if key not in _OWN_KEYS}
    cfg = dict(
        rest,
        type='ASPPHead',
        channels=classes,
        dilations=tuple(dilations),
        norm_cfg=None,
        act_cfg=None,
        dropout_ratio=0.0,
    )
    kept = {key: value for key, value in state.items() if not key.startswith('decode_head.')}
    return cfg, {**kept, **_sum_of_branches(state, len(dilations), classes)}


def _head_of_classes(head: Mapping, state: State) -> Tuple[dict, State]:
    """A head of bits, whose class logits are linear in them, as a head of classes."""
    code, inner, own = state['decode_head.code'], 'decode_head.head.', 'decode_head.'
    half = code.float() / 2
    converted: State = {}
    for key, value in state.items():
        if key.startswith(f'{inner}conv_seg.'):
            value = torch.einsum('km,m...->k...', half.to(value.dtype), value)
        if key != 'decode_head.code':
            converted[key.replace(inner, own, 1) if key.startswith(inner) else key] = value
    return dict(head['head'], num_classes=len(code)), converted


def refuse_by_hint(head: Mapping) -> None:
    """Refuse a head whose class says what to do in the place of an export.

    Args:
        head (Mapping): Config of the decode head.

    Raises:
        ValueError: If it does.
    """
    kind = head.get('type')
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    hint = getattr(found, 'stock_hint', None)
    if hint:
        raise ValueError(
            f'model.decode_head.type={type_name(head)!r} exists only in {PACKAGE}: {hint}; or load '
            f'the run with {PACKAGE}.apis, which needs no export'
        )


def _sum_of_branches(state: State, branches: int, classes: int) -> State:
    prefix = 'decode_head.'
    converted: State = {}
    for i in range(branches):
        for name in ('weight', 'bias'):
            converted[f'{prefix}aspp_modules.{i}.conv.{name}'] = state[
                f'{prefix}conv_seg.{i}.{name}'
            ]
    weight = state[f'{prefix}conv_seg.0.weight']
    identity = torch.eye(classes, dtype=weight.dtype)
    bottleneck = weight.new_zeros(classes, (branches + 1) * classes, 3, 3)
    bottleneck[:, :, 1, 1] = torch.cat([torch.zeros_like(identity), *[identity] * branches], dim=1)
    layers = {
        'image_pool.1.conv': weight.new_zeros(classes, weight.shape[1], 1, 1),
        'bottleneck.conv': bottleneck,
        'conv_seg': identity.view(classes, classes, 1, 1),
    }
    for name, value in layers.items():
        converted[f'{prefix}{name}.weight'] = value
        converted[f'{prefix}{name}.bias'] = _zeros(value)
    return converted


def _zeros(weight: Tensor) -> Tensor:
    return weight.new_zeros(weight.shape[0])
