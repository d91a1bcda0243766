# Copyright (c) mmseg_ctt contributors.
from typing import List, Optional

import torch
from mmengine.model import normal_init
from torch import Tensor, nn

from ...functional import downsample_nearest
from ...functional.precision import full_precision
from ...nn.settings import check_number
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
        num_maps (int): Classes that have a map.
        rounds (int): Of message passing, 1 or more. Defaults to 3 (released code).
        drop_ratio (float, optional): Probability of dropping, see :func:`graph_dropout`; None: no
            graph dropout. Defaults to 0.8 (released code).
        drop_threshold (float): See :func:`graph_dropout`. Defaults to 0.7 (released code).
        drop_in_eval (bool): Whether graph dropout stays random in evaluation (released code).
            Defaults to False: it is off there.
        map_scale (float): Unit of the class maps in the graph (ours): they are divided by it before
            the first round and multiplied after the last. Candidates of the GRU are in
            (-map_scale, map_scale); where class maps are much larger, its update gate closes and
            the graph is the identity. Defaults to 1 (released code).

    Raises:
        TypeError: For a setting of a wrong type.
        ValueError: For a number outside its range.
    """

    def __init__(
        self,
        num_maps: int,
        rounds: int = 3,
        drop_ratio: Optional[float] = 0.8,
        drop_threshold: float = 0.7,
        drop_in_eval: bool = False,
        map_scale: float = 1.0,
    ) -> None:
        super().__init__()
        key = 'model.group_graph'
        check_number(f'{key}.rounds', rounds, 1, whole=True)
        check_number(f'{key}.map_scale', map_scale, 1e-3)
        check_number(f'{key}.drop_threshold', drop_threshold, 0, 1)
        if drop_ratio is not None:
            check_number(f'{key}.drop_ratio', drop_ratio, 0, 1)
        self.rounds, self.drop_ratio, self.drop_threshold = rounds, drop_ratio, drop_threshold
        self.drop_in_eval, self.map_scale = drop_in_eval, map_scale
        width = max(1, num_maps // 2)
        self.query = nn.Conv2d(num_maps, width, 1)
        self.key = nn.Conv2d(num_maps, width, 1)
        self.gate = nn.Conv2d(num_maps, 1, 1, bias=False)
        self.join = nn.Conv2d(2 * num_maps, num_maps, 3, padding=1)
        self.update = ConvGRU(num_maps)

    @property
    def drops(self) -> bool:
        """Whether graph dropout is at work."""
        return self.drop_ratio is not None and (self.training or self.drop_in_eval)

    def init_weights(self) -> None:
        """Normal with deviation 0.01, no bias (released code)."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                normal_init(layer, mean=0, std=0.01)

    def forward(
        self, maps: Tensor, draws: Optional[Tensor] = None, valid: Optional[Tensor] = None
    ) -> Tensor:
        """Class maps after all rounds.

        Args:
            maps (Tensor): ``(B, G, C, h, w)`` class maps of ``B`` groups of ``G`` images.
            draws (Tensor, optional): ``(B * G, rounds)`` uniform numbers of the graph dropout;
                they have no effect where it is off. Defaults to None: it is off.
            valid (Tensor, optional): ``(B * G, H, W)`` bool, False in the padding: it sends
                nothing, and its states are 0. Defaults to None: all positions count.

        Returns:
            Tensor: Same shape, float32 (float64 for double input).
        """
        if valid is not None:
            cells = downsample_nearest(valid, (maps.shape[3], maps.shape[4]))
            valid = cells.unflatten(0, list(maps.shape[:2]))
        with torch.autocast(maps.device.type, enabled=False):
            maps = full_precision(maps)
            maps = _without(maps / self.map_scale, valid)
            for number in range(self.rounds):
                maps = self._round(maps, None if draws is None else draws[:, number], valid)
            return maps * self.map_scale

    def messages(self, maps: Tensor, valid: Optional[Tensor] = None) -> Tensor:
        """``(B, G, G - 1, C, h, w)`` gated messages to each image, from the others in order."""
        query, key = (_of_each(layer, maps) for layer in (self.query, self.key))
        found = co_attention(query, key, maps, valid)
        gate = self.gate(found.flatten(0, 2)).sigmoid()
        return found * gate.view(*found.shape[:3], *gate.shape[1:])

    def _round(self, maps: Tensor, draw: Optional[Tensor], valid: Optional[Tensor]) -> Tensor:
        messages = _without(joined_messages(self.messages(maps, valid)), valid)
        state = self.update(self.join(messages.flatten(0, 1)), maps.flatten(0, 1))
        if draw is not None and self.drops:
            assert self.drop_ratio is not None
            cells = None if valid is None else valid.flatten(0, 1)
            state = graph_dropout(state, draw, self.drop_ratio, self.drop_threshold, cells)
        return _without(state.view_as(maps), valid)


def _of_each(layer: nn.Module, maps: Tensor) -> Tensor:
    """A layer of images on every image of every group."""
    sizes: List[int] = list(maps.shape[:2])
    return layer(maps.flatten(0, 1)).unflatten(0, sizes)


def _without(maps: Tensor, valid: Optional[Tensor]) -> Tensor:
    """Maps ``(B, G, C, h, w)`` with 0 in the padding."""
    return maps if valid is None else maps * valid.unsqueeze(2)
