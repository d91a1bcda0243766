# Copyright (c) mmseg_ctt contributors.
"""How a backbone is tuned: in full, by adapters of low rank, or not at all."""

from typing import Any, Mapping, NamedTuple, Optional

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from .lora import LoRA, add_lora, is_adapter

KEY = 'model.segmentor.backbone'


class TunedBackbone(nn.Module):
    """Base of backbones that can be frozen or adapted; a class calls :meth:`tune` when it is built.

    Attributes:
        frozen (bool): No weight has a gradient, and the backbone stays in eval mode, without
            dropout and with its normalisation statistics.
        lora (LoRA, optional): Adapters train, all other weights are frozen; batch norm stays in
            eval mode, since its statistics belong to these.
    """

    frozen: bool = False
    lora: Optional[LoRA] = None

    def tune(self, frozen: bool = False, lora: Optional[Mapping[str, Any]] = None) -> None:
        """Freeze the backbone, or add adapters to it.

        Args:
            frozen (bool): Whether no weight trains. Defaults to False.
            lora (Mapping, optional): Settings of :class:`LoRA`; an empty dict is its defaults.
                Defaults to None: no adapters.

        Raises:
            TypeError: If a setting is of a wrong type.
            ValueError: If both are set, or a setting of the adapters is wrong.
        """
        check_flag(f'{KEY}.frozen', frozen)
        if frozen and lora is not None:
            raise ValueError(
                f'{KEY}.frozen=True trains nothing of the backbone, and {KEY}.lora its adapters: '
                'set one of them'
            )
        self.frozen = frozen
        if lora is not None:
            self.lora = LoRA.of(lora, f'{KEY}.lora')
            add_lora(self, self.lora, f'{KEY}.lora')
        self.apply_tuning()

    def apply_tuning(self) -> None:
        """Set which weights have a gradient, where not all have."""
        if self.frozen or self.lora is not None:
            for name, weight in self.named_parameters():
                weight.requires_grad_(not self.frozen and is_adapter(name))

    def train(self, mode: bool = True) -> 'TunedBackbone':
        """Set training mode of what trains."""
        super().train(mode and not self.frozen)
        if self.lora is not None:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def check_flag(key: str, value: Any) -> None:
    """Check that a setting is True or False; ``'false'`` of a command line would count as true.

    Raises:
        TypeError: Names the key.
    """
    if not isinstance(value, bool):
        raise TypeError(f'{key} must be True or False, got {value!r}')


def set_trained(network: nn.Module, trains: bool) -> nn.Module:
    """Give a network gradients or none; what its config freezes stays frozen.

    Args:
        network (nn.Module): Changed in place.
        trains (bool): Whether it trains.

    Returns:
        nn.Module: The same network.
    """
    network.requires_grad_(trains)
    for module in network.modules() if trains else ():
        if isinstance(module, TunedBackbone):
            module.apply_tuning()
    return network


def stays_equal(average: Tensor, followed: Tensor, network: nn.Module) -> bool:
    """Whether a weight of an average needs no update, because that which it follows is frozen.

    Args:
        average (Tensor): Of the average.
        followed (Tensor): Of the network that it follows.
        network (nn.Module): That network; one that trains nothing is an average itself.
    """
    if not isinstance(followed, nn.Parameter) or followed.requires_grad:
        return False
    trains = any(weight.requires_grad for weight in network.parameters())
    return trains and torch.equal(average, followed)


class WeightCount(NamedTuple):
    """Number of weights (scalars) of a network."""

    trained: int
    total: int

    @classmethod
    def of(cls, network: nn.Module) -> 'WeightCount':
        """Count the weights of a network."""
        sizes = [(weight.numel(), weight.requires_grad) for weight in network.parameters()]
        return cls(sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes))

    def __str__(self) -> str:
        return f'{self.trained:,} of {self.total:,} weights'
