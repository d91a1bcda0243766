# Copyright (c) mmseg_ctt contributors.
"""When :class:`DoNoHarmHook` switches loss terms off and on, and which runs it can guard."""

from typing import NamedTuple, Sequence

from mmengine.runner import Runner

from ..methods.base import SemiSegmentor
from ..methods.weighted_terms import SUP
from ..nn.unlabeled_weight import GuardState

KEY = 'default_hooks.do_no_harm'


class HarmRule(NamedTuple):
    """When loss terms go off and come back; the settings of :class:`DoNoHarmHook`.

    Attributes:
        margin (float): Points by which the run may be lower, and must be higher to come back.
        patience (int): Validations in a row that must be lower by more than that.
        backoff (float): Step down, and up; 0: terms never come back, and a factor stays.
        lowest (float): Smallest factor with which terms come back.
    """

    margin: float
    patience: int
    backoff: float
    lowest: float

    def after(self, state: GuardState, difference: float) -> GuardState:
        """State after a validation.

        Args:
            state (GuardState): Before it.
            difference (float): Score of the run less that of the baseline.
        """
        factor, retry, low = state
        low = low + 1 if difference < -self.margin and factor else 0
        if low >= self.patience:
            lower = factor * self.backoff
            return GuardState(0.0, lower if lower >= self.lowest else 0.0)
        if not self.backoff:  # whatever a resumed run had
            return GuardState(factor, 0.0, low)
        if factor == 0:  # the run trains as its baseline, and is a little above it by chance alone
            return GuardState(retry if difference >= self.margin else 0.0, retry)
        if difference >= 0 and factor < 1:
            factor = min(factor / self.backoff, 1.0)
        return GuardState(factor, retry, low)


def guarded_terms(model: SemiSegmentor) -> Sequence[str]:
    """Loss terms besides the supervised one; none where that has the weight 0.

    Args:
        model (SemiSegmentor): Of the run.
    """
    others = [term for term, weight in model.weights.items() if term != SUP and weight]
    return others if model.weights.get(SUP) else []


def last_start(runner: Runner, patience: int) -> int:
    """Iteration of the last validation with which a row of low ones before the end can begin.

    Args:
        runner (Runner): Of the run.
        patience (int): Number of validations in a row.

    Raises:
        ValueError: If fewer come before the end; names what to set.
    """
    loop, total = runner.train_loop, runner.max_iters
    without = f'or set {KEY}=None'
    if runner.val_loop is None:
        raise ValueError(
            f'{KEY} compares validations, and this run has none: set val_dataloader, '
            f'val_evaluator and val_cfg, {without}'
        )
    last, before = (total - 1) // loop.val_interval, (loop.val_begin - 1) // loop.val_interval
    found = max(last - max(before, 0), 0)
    if found < patience:
        key = f'train_cfg.val_begin={loop.val_begin}'
        key = key if last >= patience else f'train_cfg.val_interval={loop.val_interval}'
        needs = f' ({KEY}.patience={patience} needs as many)' if patience > 1 else ''
        lower = max(total // max(10, patience + 1), 1)
        raise ValueError(
            f'{key}: number of validations before the end of the run of {total} iterations: '
            f'{found}{needs}, so that {KEY} can do nothing: lower it, for example to {lower}, '
            f'{without}'
        )
    return (last - patience + 1) * loop.val_interval
