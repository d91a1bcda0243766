# Copyright (c) mmseg_ctt contributors.
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional, Tuple

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.feature_maps import map_of, with_map
from .functional import channel_attention

KEY = 'model.segmentor.neck'
# from the attention, the embedding (B, C, n) and its height and width to the rebuilt one
Rule = Callable[['ChannelAttention', Tensor, Tuple[int, int]], Tensor]


class ChannelAttention(nn.Module):
    """Attention between the channels of feature maps, with layers for two uses.

    Unlabelled images attend to their own channels; labelled ones to channels of other images. A
    channel is a row of ``n`` positions. Layers change channels, so that the number of positions is
    free.

    Args:
        channels (int): ``C``.
        num_heads (int): Each has ``C`` queries, keys and values. Defaults to 2 (paper).
        dropout (float): Of attention weights and outputs. Defaults to 0.1 (released code).
        split_heads (bool): Whether a query of a labelled image reads the channels of its own head,
            as those of unlabelled images do; False: those of all heads (released code), at
            ``num_heads`` times the cost. Defaults to True.
    """

    def __init__(
        self, channels: int, num_heads: int = 2, dropout: float = 0.1, split_heads: bool = True
    ) -> None:
        super().__init__()
        self.num_heads, self.split_heads = num_heads, split_heads
        wide = channels * num_heads

        def layer(inputs: int, outputs: int) -> nn.Module:
            return nn.Linear(inputs, outputs, bias=False)

        self.q_u, self.k_u, self.v_u = (layer(channels, wide) for _ in range(3))
        self.q_l2u, self.k_l2u, self.v_l2u = (layer(channels, wide) for _ in range(3))
        self.out_u, self.out_l2u = layer(wide, channels), layer(wide, channels)
        self.weight_dropout, self.dropout = nn.Dropout(dropout), nn.Dropout(dropout)

    def own(self, embedding: Tensor) -> Tensor:
        """Unlabelled images: each ``(B, C, n)`` reads its own channels."""
        heads = [self._heads(layer, embedding) for layer in (self.q_u, self.k_u, self.v_u)]
        found = self._read(*heads)
        # released order of the inputs of `out_u`: heads of a channel side by side
        return self._output(self.out_u, found.transpose(1, 2))

    def other(self, embedding: Tensor, source: Tensor, filled: Optional[Tensor] = None) -> Tensor:
        """Labelled images, and all images in a prediction: channels of a source.

        Args:
            embedding (Tensor): ``(B, C, n)``.
            source (Tensor): ``(G, S, C, n)``, ``S`` images, or queues of the memory, that all
                images (``G`` is 1) or each (``G`` is ``B``) read.
            filled (Tensor, optional): ``(S,)`` bool, images or queues that may be read; there must
                be one. Defaults to None: all.
        """
        query = self._heads(self.q_l2u, embedding)
        key, value = (
            self._heads(layer, source).transpose(1, 2).flatten(2, 3)  # (G, heads, S * C, n)
            for layer in (self.k_l2u, self.v_l2u)
        )
        filled = None if filled is None else filled.repeat_interleave(embedding.shape[1])
        if not self.split_heads:
            query, key, value = (part.flatten(1, 2).unsqueeze(1) for part in (query, key, value))
            filled = None if filled is None else filled.repeat(self.num_heads)
        return self._output(self.out_l2u, self._read(query, key, value, filled))

    def _heads(self, layer: nn.Module, rows: Tensor) -> Tensor:
        """``(..., C, n)`` to ``(..., heads, C, n)``."""
        return layer(rows.transpose(-2, -1)).transpose(-2, -1).unflatten(-2, (self.num_heads, -1))

    def _read(
        self, query: Tensor, key: Tensor, value: Tensor, filled: Optional[Tensor] = None
    ) -> Tensor:
        """Mixed values, in float32 whatever the precision of the layers: scores are long sums."""
        with torch.autocast(query.device.type, enabled=False):
            rows = query.float(), key.float(), value.float()
            return channel_attention(*rows, filled, self.weight_dropout)

    def _output(self, layer: nn.Module, found: Tensor) -> Tensor:
        """``(B, heads * C, n)``, in any shape, to ``(B, C, n)``."""
        rows = found.reshape(len(found), -1, found.shape[-1])
        return self.dropout(layer(rows.transpose(1, 2))).transpose(1, 2)


@MODELS.register_module()
class AllSparkNeck(BaseModule):
    """Neck that rebuilds the deepest feature map from channels (AllSpark, section 3.2).

    A 1x1 convolution, layer norm, channel attention with a residual, layer norm and a 1x1
    convolution, with GELU. Where nobody says what images read, as in a prediction, each attends to
    its own channels by the layers of the labelled images (paper: the input takes both parts).

    Args:
        in_channels (int): Of the map that is rebuilt; it keeps them.
        index (int): Of the map among those of the backbone, where it gives several. Defaults to -1.
        num_heads (int): See :class:`ChannelAttention`. Defaults to 2.
        dropout (float): See there. Defaults to 0.1.
        split_heads (bool): See there. Defaults to True.
        init_cfg (dict, optional): Of :class:`BaseModule`. Defaults to None.

    Raises:
        TypeError: If a number is none.
        ValueError: If a number lies outside its bounds.
    """

    export_keeps = True  # see mmseg_ctt/deploy/export

    def __init__(
        self,
        in_channels: int,
        index: int = -1,
        num_heads: int = 2,
        dropout: float = 0.1,
        split_heads: bool = True,
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(init_cfg)
        settings.check_number(f'{KEY}.in_channels', in_channels, 1, whole=True)
        settings.check_number(f'{KEY}.num_heads', num_heads, 1, whole=True)
        settings.check_number(f'{KEY}.dropout', dropout, 0, 1)
        settings.check_choice(f'{KEY}.split_heads', split_heads, (True, False))
        self.index, self.channels = index, in_channels
        self.map_in = nn.Sequential(nn.Conv2d(in_channels, in_channels, 1), nn.GELU())
        self.attn_norm = nn.LayerNorm(in_channels, eps=1e-6)
        self.attn = ChannelAttention(in_channels, num_heads, dropout, split_heads)
        self.encoder_norm = nn.LayerNorm(in_channels, eps=1e-6)
        self.map_out = nn.Sequential(nn.Conv2d(in_channels, in_channels, 1), nn.GELU())
        self._rule: Rule = own_channels

    def init_weights(self) -> None:
        """Xavier for the layers of the attention (released code), PyTorch's own for the rest."""
        super().init_weights()
        for module in self.attn.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, features: Any) -> Any:
        """The levels of the backbone, the map of ``index`` rebuilt; a single map alone."""
        if isinstance(features, Tensor):  # of DDRNet and PIDNet in eval mode
            return self._rebuilt(features)
        levels = list(features)
        levels[self.index] = with_map(levels[self.index], self._rebuilt(self.read_map(features)))
        return levels

    def read_map(self, features: Any) -> Tensor:
        """The map ``(B, C, h, w)`` that is rebuilt, of what the backbone gives."""
        return features if isinstance(features, Tensor) else map_of(features[self.index])

    def _rebuilt(self, feature: Tensor) -> Tensor:
        inner = self.map_in(feature)
        size = (inner.shape[2], inner.shape[3])
        rows = inner.flatten(2)
        embedding = _normalized(self.attn_norm, rows)
        rows = rows + self._rule(self.attn, embedding, size)
        rebuilt = _normalized(self.encoder_norm, rows).unflatten(2, size)
        return self.map_out(rebuilt)

    @contextmanager
    def reading(self, rule: Rule) -> Iterator[None]:
        """Passes in the ``with`` block read channels by a rule, instead of the images' own.

        Args:
            rule (Callable): From the attention, the embedding ``(B, C, n)`` and its height and
                width to the output of the attention ``(B, C, n)``.
        """
        self._rule = rule
        try:
            yield
        finally:
            self._rule = own_channels


def own_channels(attention: ChannelAttention, embedding: Tensor, size: Tuple[int, int]) -> Tensor:
    """Each image reads its own channels, by the layers of labelled images (paper, inference)."""
    return attention.other(embedding, embedding.unsqueeze(1))


def channels_of_batch(
    attention: ChannelAttention, embedding: Tensor, size: Tuple[int, int]
) -> Tensor:
    """Each image reads the channels of all images of the batch (released code in eval mode)."""
    return attention.other(embedding, embedding.unsqueeze(0))


def _normalized(norm: nn.Module, rows: Tensor) -> Tensor:
    """Layer norm over the channels of ``(B, C, n)``."""
    return norm(rows.transpose(1, 2)).transpose(1, 2)
