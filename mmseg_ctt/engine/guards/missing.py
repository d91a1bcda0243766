# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Sequence

import torch.nn as nn
from mmengine.hooks import Hook

# names of the hooks in default_hooks, by class
NAMES = dict(
    TeacherEMAHook='teacher_ema',
    QueueWarmupHook='queue_warmup',
    AnchorAssignmentHook='anchor_assignment',
)


def missing_hook(model: nn.Module, hooks: Sequence[Hook]) -> Optional[str]:
    """Hook that a model of this package needs and the run lacks; None if nothing is missing.

    A part says by ``required_hooks`` which hooks it needs.

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
