# Copyright (c) mmseg_ctt contributors.
"""Checks of the hooks of a run: those that a model needs, and none of them twice."""

from typing import Optional, Sequence

import torch.nn as nn
from mmengine.hooks import Hook

# names in default_hooks of the hooks of this package, by class
NAMES = dict(
    TeacherEMAHook='teacher_ema',
    QueueWarmupHook='queue_warmup',
    AnchorAssignmentHook='anchor_assignment',
    DistributionAlignmentHook='alignment',
    PseudoLabelHook='pseudo_labels',
    GuardHook='guards',
    PreemptionHook='preemption',
)


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
                key = NAMES.get(name, name)
                return f'no hook {purpose}: add default_hooks.{key}=dict(type="{name}")'
    return None


def repeated_hook(hooks: Sequence[Hook]) -> Optional[str]:
    """Hook of this package that the run has more than once; None if there is none.

    This is how a config of version 0.1 fails, which has these hooks in ``custom_hooks``.

    Args:
        hooks (Sequence[Hook]): Of the run.
    """
    kinds = [type(hook).__name__ for hook in hooks]
    for name, key in NAMES.items():
        if kinds.count(name) > 1:
            return (
                f'the run has {kinds.count(name)} hooks of type {name}: keep '
                f'default_hooks.{key} and remove the others from custom_hooks'
            )
    return None
