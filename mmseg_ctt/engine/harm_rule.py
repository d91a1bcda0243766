# Copyright (c) mmseg_ctt contributors.
"""When :class:`DoNoHarmHook` switches loss terms off and on, and which runs it can guard."""

from typing import Sequence, Tuple

from mmengine.runner import Runner

from ..methods.base import SemiSegmentor
from ..methods.weighted_terms import SUP

KEY = 'default_hooks.do_no_harm'


def next_factors(
    factor: float, retry: float, difference: float, margin: float, backoff: float, lowest: float
) -> Tuple[float, float]:
    """Factor after a validation, and the one to come back with.

    Args:
        factor (float): Before it; 0: terms are off.
        retry (float): With which they come back; 0: never.
        difference (float): Score of the run less that of the baseline.
        margin (float): Points by which the run may be lower, and must be higher to come back.
        backoff (float): Step down, and up; 0: terms never come back, and a factor stays.
        lowest (float): Smallest factor with which terms come back.
    """
    if difference < -margin and factor:
        lower = factor * backoff
        return 0.0, lower if lower >= lowest else 0.0
    if not backoff:  # whatever a resumed run had
        return factor, 0.0
    if factor == 0:  # the run trains as its baseline, and is a little above it by chance alone
        return (retry if difference >= margin else 0.0), retry
    if difference >= 0 and factor < 1:
        factor = min(factor / backoff, 1.0)
    return factor, retry


def guarded_terms(model: SemiSegmentor) -> Sequence[str]:
    """Loss terms besides the supervised one; none where that has the weight 0.

    Args:
        model (SemiSegmentor): Of the run.
    """
    others = [term for term, weight in model.weights.items() if term != SUP and weight]
    return others if model.weights.get(SUP) else []


def last_before_end(runner: Runner) -> int:
    """Iteration of the last validation before the end of a run.

    Raises:
        ValueError: If there is none; names what to set.
    """
    loop, total = runner.train_loop, runner.max_iters
    without = f'or set {KEY}=None'
    if runner.val_loop is None:
        raise ValueError(
            f'{KEY} compares validations, and this run has none: set val_dataloader, '
            f'val_evaluator and val_cfg, {without}'
        )
    last = (total - 1) // loop.val_interval * loop.val_interval
    late = last >= 1  # by the interval alone there is one
    if not late or last < loop.val_begin:
        key = f'train_cfg.val_begin={loop.val_begin}'
        key = key if late else f'train_cfg.val_interval={loop.val_interval}'
        raise ValueError(
            f'{key}: the run of {total} iterations is not validated before its end, so that {KEY} '
            f'can do nothing: lower it, for example to {max(total // 10, 1)}, {without}'
        )
    return last
