# Copyright (c) mmseg_ctt contributors.
from typing import List, Optional

import torch
from mmengine.model import normal_init
from torch import Tensor, nn

from .functional import co_attention, graph_dropout, joined_messages


class ConvGRU(nn.Module):
    """Convolutional gated recurrent unit with 1x1 convolutions.

    ``z, r = sigmoid``, ``c = tanh`` of convolutions of message and state (``r * state`` for
    ``c``); the new state is ``(1 - z) * state + z * c``.

    Args:
        channels (int): Of message and state.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 1)  # update, then reset
        self.candidate = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, message: Tensor, state: Tensor) -> Tensor:
        """New state ``(N, C, h, w)`` from a message and the state, both of that shape."""
        update, reset = self.gates(torch.cat([message, state], dim=1)).sigmoid().chunk(2, dim=1)
        candidate = self.candidate(torch.cat([message, state * reset], dim=1)).tanh()
        return state * (1 - update) + candidate * update


class GroupGraph(nn.Module):
    """Graph over the images of a group whose states are their class maps.

    In every round each image gets a message of every other one by co-attention, times a gate of
    each position; a 3x3 convolution joins the messages, a :class:`ConvGRU` updates the class maps,
    and graph dropout weakens the positions that dominate. All rounds have the same weights, and
    all images are updated at once. It runs in float32 under AMP: the attention has no scale.

    Args:
        num_classes (int): Channels of the class maps, at least 2.
        rounds (int): Of message passing. Defaults to 3 (released code).
        drop_ratio (float): As of :func:`graph_dropout`. Defaults to 0.8.
        threshold (float): As of :func:`graph_dropout`. Defaults to 0.7.
    """

    def __init__(
        self, num_classes: int, rounds: int = 3, drop_ratio: float = 0.8, threshold: float = 0.7
    ) -> None:
        super().__init__()
        self.rounds, self.drop_ratio, self.threshold = rounds, drop_ratio, threshold
        self.query = nn.Conv2d(num_classes, num_classes // 2, 1)
        self.key = nn.Conv2d(num_classes, num_classes // 2, 1)
        self.gate = nn.Conv2d(num_classes, 1, 1, bias=False)
        self.join = nn.Conv2d(2 * num_classes, num_classes, 3, padding=1)
        self.update = ConvGRU(num_classes)

    def init_weights(self) -> None:
        """Normal with deviation 0.01, no bias (released code)."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                normal_init(layer, mean=0, std=0.01)

    def forward(self, maps: Tensor, draws: Optional[Tensor] = None) -> Tensor:
        """Class maps after all rounds.

        Args:
            maps (Tensor): ``(B, G, C, h, w)`` class maps of ``B`` groups of ``G`` images.
            draws (Tensor, optional): ``(B * G, rounds)`` uniform numbers of the graph dropout.
                Defaults to None: no dropout.

        Returns:
            Tensor: Same shape, float32 (float64 for double input).
        """
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps if maps.dtype == torch.float64 else maps.float()
            for number in range(self.rounds):
                maps = self._round(maps, None if draws is None else draws[:, number])
            return maps

    def messages(self, maps: Tensor) -> Tensor:
        """``(B, G, G - 1, C, h, w)`` gated messages to each image, from the others in order."""
        query, key = (_of_each(layer, maps) for layer in (self.query, self.key))
        found = co_attention(query, key, maps)
        gate = self.gate(found.flatten(0, 2)).sigmoid()
        return found * gate.view(*found.shape[:3], *gate.shape[1:])

    def _round(self, maps: Tensor, draw: Optional[Tensor]) -> Tensor:
        message = self.join(joined_messages(self.messages(maps)).flatten(0, 1))
        state = self.update(message, maps.flatten(0, 1))
        if draw is not None:
            state = graph_dropout(state, draw, self.drop_ratio, self.threshold)
        return state.view_as(maps)


def _of_each(layer: nn.Module, maps: Tensor) -> Tensor:
    """A layer of images on every image of every group."""
    sizes: List[int] = list(maps.shape[:2])
    return layer(maps.flatten(0, 1)).unflatten(0, sizes)
