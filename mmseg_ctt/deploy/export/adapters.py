# Copyright (c) mmseg_ctt contributors.
"""Equivalents of frozen and adapted backbones: plain ones."""

from typing import Mapping, Tuple

from ...nn.lora import merge_adapters
from .members import State

PREFIX = 'backbone.'


def plain_backbone(backbone: Mapping, state: State) -> Tuple[dict, State]:
    """Config and weights of a backbone without adapters that computes the same.

    Args:
        backbone (Mapping): Config of the backbone.
        state (dict[str, Tensor]): State of the whole segmentor, or of the backbone alone.

    Returns:
        tuple[dict, dict[str, Tensor]]: The backbone's config, in which nothing is frozen, and the
        state, whose adapters are merged into the weights.
    """
    plain = dict(backbone)
    plain.pop('frozen', None)
    plain.pop('lora', None)
    return plain, merge_adapters(state)
