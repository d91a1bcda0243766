# Copyright (c) mmseg_ctt contributors.
"""Steps of a list in the config, built from a registry of their own."""

from typing import Any, Sequence

import torch.nn as nn
from mmengine.registry import Registry

from .settings import check_settings


def build_steps(key: str, steps: Sequence[Any], registry: Registry) -> nn.ModuleList:
    """Build the steps of ``model.<key>``.

    Args:
        key (str): Place in the config, for messages.
        steps (Sequence[dict]): Configs with a ``type``.
        registry (Registry): Of these types.

    Raises:
        TypeError: If they are no list of dicts with a type.
        ValueError: For a type or a setting that is not known.
    """
    if not isinstance(steps, (list, tuple)):
        raise TypeError(f'{key} must be a list of dicts with a type, got {steps!r}')
    return nn.ModuleList(_build(key, step, registry) for step in steps)


def _build(key: str, given: Any, registry: Registry) -> nn.Module:
    if not isinstance(given, dict) or 'type' not in given:
        raise TypeError(f'{key} must be a list of dicts with a type, got the entry {given!r}')
    found = registry.get(given['type'])
    if found is None:
        known = sorted(registry.module_dict)
        raise ValueError(
            f'{key} has a step of the unknown type {given["type"]!r}; known are {known}'
        )
    own = {name: value for name, value in given.items() if name != 'type'}
    check_settings(f'{key}: {given["type"]}', own, found)
    return found(**own)
