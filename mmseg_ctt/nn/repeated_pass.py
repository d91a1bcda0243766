# Copyright (c) mmseg_ctt contributors.
"""A pass of a network again, with other images: nothing differs but the images."""

from contextlib import contextmanager
from typing import Iterator, NamedTuple, Optional

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

CHECKPOINTING = ('with_cp', 'grad_checkpointing')  # of a layer of mmseg, of a network of timm


class RandomState(NamedTuple):
    """State of the generators that dropout draws from; reading it does not wait for the device.

    Attributes:
        host (Tensor): Of the CPU.
        cuda (Tensor, optional): Of the CUDA device; None on another.
        device (torch.device): Device of the images.
    """

    host: Tensor
    cuda: Optional[Tensor]
    device: torch.device

    @classmethod
    def of(cls, device: torch.device) -> 'RandomState':
        """The present state, for images on a device."""
        on_cuda = torch.cuda.get_rng_state(device) if device.type == 'cuda' else None
        return cls(torch.get_rng_state(), on_cuda, device)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """The ``with`` block draws what followed this state; then generators are as before."""
        with torch.random.fork_rng([] if self.cuda is None else [self.device]):
            torch.set_rng_state(self.host)
            if self.cuda is not None:
                torch.cuda.set_rng_state(self.cuda, self.device)
            yield


@contextmanager
def kept_activations(network: nn.Module) -> Iterator[None]:
    """Passes in the ``with`` block keep their activations, also where memory is to be saved.

    With ``with_cp`` of mmseg or ``grad_checkpointing`` of timm the backward pass computes them
    again, after the block, when what the block has changed is as before.

    Args:
        network (nn.Module): With all its layers.
    """
    recomputed = [
        (layer, name)
        for layer in network.modules()
        for name in CHECKPOINTING
        if getattr(layer, name, False) is True
    ]
    for layer, name in recomputed:
        setattr(layer, name, False)
    try:
        yield
    finally:
        for layer, name in recomputed:
            setattr(layer, name, True)


@contextmanager
def constant_statistics(network: nn.Module) -> Iterator[None]:
    """Batch normalisation leaves its running averages and its count of batches as they are.

    In training mode it still normalises by the statistics of the batch, on all ranks where it is
    synchronised; layers in eval mode are as always. Passes keep their activations: computed again
    in the backward pass, they would move the averages.

    Args:
        network (nn.Module): With all its layers.
    """
    layers = [
        layer
        for layer in network.modules()
        if isinstance(layer, _BatchNorm) and layer.training and layer.track_running_stats
    ]
    for layer in layers:
        layer.track_running_stats = False
    try:
        with kept_activations(network):
            yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
