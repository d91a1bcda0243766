# Copyright (c) mmseg_ctt contributors.
"""Learning rates that fall from the last layer of a backbone to its first."""

import re
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Sequence, Tuple, Union

import torch.nn as nn

from ..nn.settings import check_keys, check_real
from ..nn.tuning import KEY as BACKBONE

KEY = 'optim_wrapper.paramwise_cfg.layer_decay'
# A layer is a block of a list, or of the lists of the stages: `blocks.3`, `stages_1.blocks.0`,
# `layer1.0` (timm), `layers.0.1.2` (mmseg). What has a stage's number alone, such as its
# downsampling, belongs to the first block of the stage, as in timm.
_BLOCK = re.compile(
    r'(?:^|\.)(?:blocks|layers|stages|layer)[._]?(\d+)((?:\.(?:blocks|layers))?(?:\.\d+)*)(?=\.)'
)
_NUMBER = re.compile(r'\d+')
# Before the first block and after the last one.
_FIRST = re.compile(
    r'(?:^|\.)(?:\w+_tokens?|\w*pos_embed\w*|rel_pos\w*|rope|patch_embed\w*|stem\w*|conv_stem|conv1|'
    r'bn1|norm_pre)(?:\.|$)'
)
_LAST = re.compile(r'(?:^|\.)(?:norm\w*|fc_norm|ln\d?|bn2|conv_head)(?:\.|$)')
_OF_A_MEMBER = re.compile(r'(?:^|\.)backbone\.(.+)')
# Weights that are no matrices of a layer.
_NOT_DECAYED = re.compile(r'(?:_tokens?|pos_embed\w*|relative_position_bias_table|rel_pos\w*)$')


class LayerDecay(NamedTuple):
    """Layer-wise decay of the learning rate (Clark et al., 2020; BEiT, MAE).

    The last of ``N`` blocks learns at ``rate`` times the learning rate, the one before it at
    ``rate ** 2`` times, and what is before the first block (patch embedding, position embedding,
    tokens) at ``rate ** (N + 1)`` times. What is after the last block, such as its
    normalisation, and other parts of the network learn at the full rate.

    Attributes:
        rate (float): In (0, 1].
        first (Sequence[str]): Further names of weights before the first block. Defaults to none.
        last (Sequence[str]): Further names of weights after the last block. Defaults to none.
    """

    rate: float
    first: Sequence[str] = ()
    last: Sequence[str] = ()

    @classmethod
    def of(cls, given: Union[float, Mapping[str, Any]]) -> 'LayerDecay':
        """Settings of a config: the rate, or a dict.

        Raises:
            TypeError: If a value is of a wrong type.
            ValueError: For an unknown setting, or a rate out of bounds.
        """
        values: Dict[str, Any] = dict(given) if isinstance(given, Mapping) else dict(rate=given)
        check_keys(KEY, values, cls._fields)
        if 'rate' not in values:
            raise ValueError(f'{KEY} lacks the setting rate, such as 0.75')
        check_real(f'{KEY}.rate', values['rate'])
        if not 0 < values['rate'] <= 1:
            raise ValueError(f'{KEY} must be in (0, 1], got {values["rate"]}')
        for name in ('first', 'last'):
            names = values.get(name, ())
            several = isinstance(names, (list, tuple))
            if not several or not all(isinstance(n, str) and n for n in names):
                raise TypeError(
                    f"{KEY}.{name} must be a list of names such as ['stem'], got {names!r}"
                )
        return cls(**values)


class LayerRate(NamedTuple):
    """Factor of the learning rate of a weight, and its layer in words."""

    factor: float
    layer: str


def layer_rates(names: Iterable[str], decay: LayerDecay) -> Dict[str, LayerRate]:
    """Factors of the learning rate of the weights of all backbones, by name.

    Args:
        names (Iterable[str]): Trained weights of a model; the backbones of several students are
            counted apart.
        decay (LayerDecay): Settings.

    Raises:
        ValueError: If no backbone trains, or the layer of a weight is not known.
    """
    backbones: Dict[str, Dict[str, str]] = {}
    for name in names:
        found = _OF_A_MEMBER.search(name)
        if found is not None:
            backbones.setdefault(name[: found.start(1)], {})[name] = found[1]
    if not backbones:
        raise ValueError(
            f'{KEY} is unused: no weight of a backbone trains; remove it, or {BACKBONE}.frozen=True'
        )
    rates: Dict[str, LayerRate] = {}
    for weights in backbones.values():
        numbers, depth = _layers(weights, decay)
        labels = ['embedding', *(f'block {i}' for i in range(depth)), 'last norm']
        for name, i in numbers.items():
            rates[name] = LayerRate(decay.rate ** (depth + 1 - i), labels[i])
    return rates


def rate_table(layers: Mapping[str, str], rates: Mapping[str, float]) -> str:
    """Learning rate of each layer, one line a layer, from the highest to the lowest.

    Args:
        layers (Mapping[str, str]): Layer of each weight, in words.
        rates (Mapping[str, float]): Learning rate of each weight.
    """
    table: Dict[Tuple[str, float], int] = {}
    for name, layer in layers.items():
        row = layer, rates[name]
        table[row] = table.get(row, 0) + 1
    rows = sorted(table.items(), key=lambda row: -row[0][1])
    return '\n'.join(f'  {layer:<12} lr={lr:.3g} ({n} tensors)' for (layer, lr), n in rows)


def _layers(weights: Mapping[str, str], decay: LayerDecay) -> Tuple[Dict[str, int], int]:
    """Number of the layer of each weight, and the number of blocks."""
    blocks = {name: _block(inner) for name, inner in weights.items()}
    order = sorted({block for block in blocks.values() if block})
    last = len(order) + 1
    ids = {}
    for name, inner in weights.items():
        if blocks[name]:
            ids[name] = 1 + order.index(blocks[name])
        elif any(part in inner for part in decay.first) or _FIRST.search(inner):
            ids[name] = 0
        elif any(part in inner for part in decay.last) or _LAST.search(inner):
            ids[name] = last
        else:
            raise ValueError(
                f'{KEY}: it is not known which layer the weight backbone.{inner} belongs to: set '
                f'{KEY}=dict(rate={decay.rate}, first=[{inner!r}]) if it is before the first '
                'block, last=[...] if after the last'
            )
    return ids, len(order)


def _block(name: str) -> Tuple[int, ...]:
    """Numbers of a block within a backbone, such as (stage, block); () outside of blocks."""
    found = _BLOCK.search(name)
    if found is None:
        return ()
    inner = tuple(map(int, _NUMBER.findall(found[2])))
    return (int(found[1]), *(inner or (0,)))


def is_decayed(name: str, weight: nn.Parameter) -> bool:
    """Whether weight decay applies to a weight: not to norms, biases, embeddings and tokens."""
    return weight.ndim > 1 and _NOT_DECAYED.search(name) is None
