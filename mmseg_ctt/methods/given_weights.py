# Copyright (c) mmseg_ctt contributors.
"""Networks that never train: a checkpoint must give their weights, or they stay random for ever."""

from typing import Any, Dict, FrozenSet, Mapping

from torch import Tensor

from ..nn.heads import main_head
from ..nn.lora import is_adapter
from ..nn.members import dotted
from ..nn.pretrained import fit_of, pretrained_source


def members_in(model: Any, state: Mapping[str, Tensor], prefix: str = '') -> FrozenSet[str]:
    """Members of which a state holds all weights; adapters may be missing, as in a plain network.

    Args:
        model (MemberNetworks): Whose members.
        state (Mapping[str, Tensor]): Of a checkpoint.
        prefix (str): Of the model's entries. Defaults to ''.
    """
    found = set()
    for name in model.members:
        weights = {
            f'{prefix}{dotted(name)}.{key}': weight
            for key, weight in model.member(name).named_parameters()
            if not is_adapter(key)
        }
        if not fit_of(weights, state).example:
            found.add(name)
    return frozenset(found)


def frozen_without_weights(model: Any) -> Dict[str, str]:
    """Teachers that follow nobody and whose config names no weights, with what to do for each.

    Args:
        model (SemiSegmentor): Whose teachers.
    """
    remedy = (
        'model.frozen_teachers: set load_from=FILE, a plain segmentor of these classes (as '
        'export_segmentor.py writes it) or a run with teachers, or remove it'
    )
    return {
        name: remedy
        for name, member in model.members.items()
        if name.startswith('teacher') and member.follows is None and _is_random(model.member(name))
    }


def _is_random(network: Any) -> bool:
    parts = network, main_head(network)
    return not any(pretrained_source(getattr(part, 'init_cfg', None)) for part in parts)


def check_given(model: Any) -> None:
    """Stop before a training towards a network of random weights.

    Args:
        model (nn.Module): After its checkpoint was loaded; any but those of this package passes.

    Raises:
        ValueError: Names the member, and what to set.
    """
    for name, remedy in getattr(model, 'members_to_load', {}).items():
        if name not in model.given:
            raise ValueError(
                f'no checkpoint has all weights of the network {name}, which never trains, so that '
                f'the others would learn from random numbers: {remedy}'
            )
