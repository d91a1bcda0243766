# Copyright (c) mmseg_ctt contributors.
"""Check that every stage of a run begins before the run ends."""

from typing import Any, Iterator, Mapping, Optional, Sequence, Tuple

import torch.nn as nn
from mmengine.hooks import CheckpointHook, EMAHook, Hook

from ...nn.unwrap import unwrapped


def check_stages(model: nn.Module, hooks: Sequence[Hook], train_cfg: Mapping[str, Any]) -> None:
    """Check that every stage of a run begins before the run ends.

    A hook of this package gives its stages in ``stage_starts(model, max_iters)``, a method in
    ``stage_starts(max_iters)``: for each the config key, the iterations before it, what is missing
    if it never begins, and the remedy.

    Args:
        model (nn.Module): Of the run.
        hooks (Sequence[Hook]): Of the run.
        train_cfg (Mapping): ``train_cfg`` of the config; a run by epochs passes.

    Raises:
        ValueError: If a stage never begins.
    """
    line = late_stage(model, hooks, train_cfg)
    if line is not None:
        raise ValueError(line)


def late_stage(
    model: nn.Module, hooks: Sequence[Hook], train_cfg: Mapping[str, Any]
) -> Optional[str]:
    """Stage that never begins, as an error of one line; None if all begin."""
    number = train_cfg.get('max_iters')
    if not number or number < 1:  # by epochs, or refused by the loop
        return None
    for key, start, effect, remedy in _stages(model, hooks, train_cfg, number):
        if start >= number:
            return f'{key}, but the run has {number} iterations: {effect}; {remedy}'
    return None


def _stages(
    model: nn.Module, hooks: Sequence[Hook], train_cfg: Mapping[str, Any], number: int
) -> Iterator[Tuple[str, int, str, str]]:
    begin = train_cfg.get('val_begin') or 0
    key = f'train_cfg.val_begin={begin}'
    yield key, begin - 1, 'it never validates', 'lower it'
    if hasattr(unwrapped(model), 'stage_starts'):
        yield from unwrapped(model).stage_starts(number)
    for hook in hooks:
        if hasattr(hook, 'stage_starts'):
            yield from hook.stage_starts(model, number)
        elif isinstance(hook, EMAHook):
            key = f'EMAHook.begin_iter={hook.begin_iter}'
            yield key, hook.begin_iter, 'it never averages', 'lower it'
        elif isinstance(hook, CheckpointHook) and not hook.by_epoch:
            key = f'default_hooks.checkpoint.save_begin={hook.save_begin}'
            yield key, hook.save_begin, 'it saves nothing before the last iteration', 'lower it'
