# Copyright (c) mmseg_ctt contributors.
"""Equivalents of frozen and adapted backbones: plain ones."""

from typing import List, Mapping, Tuple

from ...nn.lora import merge_adapters
from .members import State

PREFIX = 'backbone.'
TUNING = ('frozen', 'lora')


def plain_backbone(backbone: Mapping, state: State) -> Tuple[dict, State]:
    """Config and weights of a backbone without adapters that computes the same.

    Args:
        backbone (Mapping): Config of the backbone.
        state (dict[str, Tensor]): State of the whole segmentor, or of the backbone alone.

    Returns:
        tuple[dict, dict[str, Tensor]]: The backbone's config, in which nothing is frozen, and the
        state, whose adapters are merged into the weights.
    """
    plain = {key: value for key, value in backbone.items() if key not in TUNING}
    return plain, merge_adapters(state)


def tuning_notes(segmentor: Mapping) -> List[str]:
    """Notes on what a plain network trains and that of the run did not.

    Args:
        segmentor (Mapping): Config of the run's segmentor.
    """
    backbone = segmentor.get('backbone') or {}
    return [
        f'the training part trains the whole backbone: stock mmseg has no {key}, and '
        f'model.backbone.{key} of the run is {backbone[key]}; lower its rate by lr_mult of '
        'backbone in optim_wrapper.paramwise_cfg.custom_keys (0 keeps it as it is)'
        for key in TUNING
        if backbone.get(key) not in (None, False)
    ]
