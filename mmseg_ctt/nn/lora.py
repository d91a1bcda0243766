# Copyright (c) mmseg_ctt contributors.
"""Low-rank adaptation (LoRA) of linear layers, and the merging of its adapters.

An adapted layer keeps the names of its weights, ``weight`` and ``bias``: a checkpoint of the plain
network starts it without renaming, and a merged state is one of the plain network.
"""

import math
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .settings import as_dict, check_keys, check_number, check_real

NAMES = ('lora_a', 'lora_b', 'lora_scale')
ROUNDING = 1e-4  # of a stored scale that averaged weights may have


class LoRA(NamedTuple):
    """Settings of low-rank adaptation (Hu et al., 2021, section 4.1).

    Attributes:
        rank (int): Rank ``r`` of the update of each weight. Defaults to 8.
        alpha (float): The update is scaled by ``alpha / rank``. Defaults to 16.
        targets (Sequence[str]): Linear layers to adapt, by the end of their name, such as
            ``'qkv'`` or ``'attn.proj'``. Defaults to ``('qkv', 'proj')``, the attention of a
            vision transformer of timm.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: Sequence[str] = ('qkv', 'proj')

    @property
    def scale(self) -> float:
        """Factor of the update."""
        return self.alpha / self.rank

    @classmethod
    def of(cls, given: Mapping[str, Any], key: str) -> 'LoRA':
        """Settings of a config.

        Args:
            given (Mapping): Values that are not the defaults.
            key (str): Where they stand, for errors.

        Raises:
            TypeError: If a value is of a wrong type.
            ValueError: For an unknown setting, or a value out of bounds.
        """
        values = as_dict(key, given)
        check_keys(key, values, cls._fields)
        settings = cls(**values)
        check_number(f'{key}.rank', settings.rank, low=1, whole=True)
        check_real(f'{key}.alpha', settings.alpha)
        if settings.alpha <= 0 or not math.isfinite(settings.alpha):
            raise ValueError(f'{key}.alpha must be above 0, got {settings.alpha}')
        names = settings.targets
        several = isinstance(names, (list, tuple)) and len(names) > 0
        if not several or not all(isinstance(name, str) for name in names):
            raise TypeError(f"{key}.targets must be a list of names such as ['qkv'], got {names!r}")
        return settings


class LoRALinear(nn.Module):
    """Linear layer with a frozen weight and a trained update of low rank.

    The output is ``x W^T + b + scale * (x A^T) B^T``. ``A`` starts random and ``B`` at zero, so
    that the layer starts as the plain one. Some networks read ``weight`` without a call of the
    layer; they get ``W + scale * B A``, while the state holds ``W``, ``A``, ``B`` and the scale.

    Args:
        layer (nn.Linear): The layer, whose weight and bias become those of this one.
        settings (LoRA): Rank and scale.

    Raises:
        ValueError: Where a state of another scale is loaded, which would be another network.
    """

    bias: Optional[Tensor]
    lora_a: Tensor  # (rank, in)
    lora_b: Tensor  # (out, rank)
    lora_scale: Tensor  # (), for the check of a loaded state

    def __init__(self, layer: nn.Linear, settings: LoRA) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.rank, self.scale = settings.rank, settings.scale
        # the property of this name bars the usual assignment
        parameters: Any = self._parameters
        parameters['weight'] = layer.weight
        self.register_parameter('bias', layer.bias)
        for weight in (layer.weight, layer.bias):
            if weight is not None:
                weight.requires_grad_(False)
        self.lora_a = nn.Parameter(layer.weight.new_empty(self.rank, layer.in_features))
        self.lora_b = nn.Parameter(layer.weight.new_zeros(layer.out_features, self.rank))
        self.register_buffer('lora_scale', torch.tensor(self.scale))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))  # as nn.Linear

    @property
    def weight(self) -> Tensor:
        """The merged weight ``(out, in)``."""
        return self._frozen + self.scale * self.lora_b @ self.lora_a

    @property
    def _frozen(self) -> Tensor:
        frozen: Any = self._parameters['weight']
        return frozen

    def forward(self, x: Tensor) -> Tensor:
        """Adapted output.

        Args:
            x (Tensor): ``(..., in)``.

        Returns:
            Tensor: ``(..., out)``.
        """
        update = F.linear(F.linear(x, self.lora_a), self.lora_b)
        return F.linear(x, self._frozen, self.bias) + self.scale * update

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        stored = state_dict.get(f'{prefix}{NAMES[2]}')
        scale = self.scale if stored is None else float(stored)
        if abs(scale / self.scale - 1) > ROUNDING:
            raise ValueError(
                f'lora.alpha: the adapters of the file were trained with alpha / rank = {scale:g}, '
                f'and here it is {self.scale:g}: set alpha={scale * self.rank:g}'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        """Sizes, rank and scale."""
        return f'{self.in_features}, {self.out_features}, rank={self.rank}, scale={self.scale:g}'


def add_lora(network: nn.Module, settings: LoRA, key: str) -> int:
    """Put an adapted layer in the place of each target.

    Args:
        network (nn.Module): Changed in place. Other weights than those of the targets stay as they
            are, trained or not.
        settings (LoRA): Which layers, and how.
        key (str): Where the settings stand, for errors.

    Returns:
        int: Number of adapted layers.

    Raises:
        ValueError: If a target is the name of no linear layer; names those that there are.
    """
    layers = {path: m for path, m in network.named_modules() if isinstance(m, nn.Linear)}
    found = {
        target: [path for path in layers if f'.{path}'.endswith(f'.{target}')]
        for target in settings.targets
    }
    for target, paths in found.items():
        if not paths:
            known = sorted({path.rpartition('.')[2] for path in layers if not _numbered(path)})
            raise ValueError(
                f'{key}.targets: the backbone has no linear layer {target!r}; it has '
                + (f'{known}' if layers else f'none at all: remove {key}')
            )
    chosen = sorted(set(sum(found.values(), [])))
    for path in chosen:
        owner, _, name = path.rpartition('.')
        setattr(network.get_submodule(owner), name, LoRALinear(layers[path], settings))
    return len(chosen)


def is_adapter(name: str) -> bool:
    """Whether a weight of this name is one of an adapter, which no plain network has."""
    return name.rpartition('.')[2] in NAMES


def merge_adapters(state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """State of the plain network that computes the same.

    Args:
        state (Mapping[str, Tensor]): Of a network with adapters.

    Returns:
        dict[str, Tensor]: New tensors for the adapted weights, summed in float64.
    """
    merged = {name: value for name, value in state.items() if not is_adapter(name)}
    for name, lora_a in state.items():
        owner, _, last = name.rpartition('.')
        if last != NAMES[0]:
            continue
        prefix = f'{owner}.' if owner else ''
        lora_b, scale = (state[prefix + other].double() for other in NAMES[1:])
        weight = state[f'{prefix}weight']
        update = scale * lora_b @ lora_a.double()
        merged[f'{prefix}weight'] = (weight.double() + update).to(weight)
    return merged


def _numbered(path: str) -> bool:
    return path.rpartition('.')[2].isdigit()
