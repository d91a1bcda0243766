# Copyright (c) mmseg_ctt contributors.
"""Checks of the hooks of a run: those that a model needs, and none of them twice."""

from typing import Dict, List, Optional, Sequence

import torch.nn as nn
from mmengine.hooks import Hook
from mmseg.registry import HOOKS


def check_hooks(model: nn.Module, hooks: Sequence[Hook]) -> None:
    """Check that a run has the hooks that its model needs, and none of this package twice.

    Args:
        model (nn.Module): Of the run.
        hooks (Sequence[Hook]): Of the run.

    Raises:
        ValueError: If a hook is missing or repeated.
    """
    line = missing_hook(model, hooks) or repeated_hook(hooks)
    if line is not None:
        raise ValueError(line)


def hook_key(name: str) -> str:
    """Config key of a hook; hooks of this package hold it as ``config_key``.

    Args:
        name (str): Registered name of the class.
    """
    return getattr(HOOKS.get(name), 'config_key', f'default_hooks.{name}')


def missing_hook(model: nn.Module, hooks: Sequence[Hook]) -> Optional[str]:
    """Hook that a model of this package needs and the run lacks; None if the run lacks none.

    The model and its parts name the hooks that they need in ``required_hooks``.

    Args:
        model (nn.Module): Of the run.
        hooks (Sequence[Hook]): Of the run.
    """
    present = {kind.__name__ for hook in hooks for kind in type(hook).__mro__}
    for part in model.modules():
        for name, purpose in getattr(part, 'required_hooks', {}).items():
            if name not in present:
                return f'no hook {purpose}: add {hook_key(name)}=dict(type="{name}")'
    return None


def repeated_hook(hooks: Sequence[Hook]) -> Optional[str]:
    """Hook of this package that the run has more than once; None if there is none.

    This is how a config of version 0.1 fails, which has these hooks in ``custom_hooks``. A subclass
    counts as the hook itself.

    Args:
        hooks (Sequence[Hook]): Of the run.
    """
    kinds: Dict[str, List[str]] = {}
    for hook in hooks:
        key = getattr(hook, 'config_key', None)
        if key is not None:
            kinds.setdefault(key, []).append(type(hook).__name__)
    for key, names in kinds.items():
        if len(names) > 1:
            return (
                f'the run has {len(names)} hooks of type {", ".join(sorted(set(names)))}: keep '
                f'{key} and remove the others from custom_hooks'
            )
    return None
