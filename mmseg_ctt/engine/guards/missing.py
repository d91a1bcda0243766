# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Sequence

import torch.nn as nn
from mmengine.hooks import Hook

LIST = 'custom_hooks (a list in a config replaces that of its base)'


def missing_hook(model: nn.Module, hooks: Sequence[Hook]) -> Optional[str]:
    """What a model of this package needs and no hook does; None if nothing is missing.

    Args:
        model (nn.Module): Of the run.
        hooks (Sequence[Hook]): Of the run.
    """
    names = {kind.__name__ for hook in hooks for kind in type(hook).__mro__}
    contrast = getattr(model, 'contrast', None)
    for needed, name, what in (
        (
            bool(getattr(model, 'teachers', None)),
            'TeacherEMAHook',
            'moves the teachers, which stay as they are',
        ),
        (contrast is not None, 'QueueWarmupHook', 'switches the contrast on'),
        (hasattr(contrast, 'assign'), 'AnchorAssignmentHook', 'matches anchors to classes'),
    ):
        if needed and name not in names:
            return f'nothing {what}: add dict(type="{name}") to {LIST}'
    return None
