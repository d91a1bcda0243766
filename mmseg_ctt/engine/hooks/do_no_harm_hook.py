# Copyright (c) mmseg_ctt contributors.
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence, Tuple

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...methods.base import SemiSegmentor
from ...methods.weighted_terms import SUP
from ...nn import settings
from ...nn.unlabeled_weight import UnlabeledWeight
from ...nn.unwrap import segmentor_of
from ..baseline_run import BaselineRun, find_baseline, named_baseline
from ..checkpoint import POINTER

KEY = 'default_hooks.do_no_harm'
AUTO = 'auto'
MIOU = 'mIoU'
LOWEST = 0.1
LOWER_IS_BETTER = ('loss', 'HD95', 'ASD')
SCALAR = 'train/unlabeled_weight'
OF_STUDENTS = 'train/student'


@HOOKS.register_module()
class DoNoHarmHook(Hook):
    """Guard against unlabelled images that make a run worse than its supervised baseline.

    After each validation it compares the best member of the run with a baseline run; teachers lag
    behind their students at first, which says nothing about the unlabelled images. A run below the
    baseline trains as the baseline does: the factor of all loss terms but the supervised one is 0,
    and networks see no unlabelled images. With ``backoff``, once it is above the baseline by the
    margin, the terms come back with a smaller factor, which climbs while it is not below, to at
    most 1; a run that is below again and again keeps the factor 0. Factor and the one to come back
    with are in the model, as ``unlabeled_weight.state``, and in the checkpoint, not in exports; the
    log has the factor as ``unlabeled_weight``.

    Runs of different lengths are compared by progress: half of this one with half of the baseline,
    where learning rates have fallen as far. Between validations of the baseline its score is
    interpolated; behind its last one so far, it is that one.

    Args:
        baseline (str): Work folder of a run that was validated on the same data. Defaults to
            'auto': the supervised run that :func:`find_baseline` finds; without one the guard is
            off, and the log says so. It may still be training.
        metric (str, optional): Score that is compared, higher is better. Defaults to None: the
            first of ``default_hooks.checkpoint.save_best``, or mIoU. That of a member, such as
            ``'ensemble/mIoU'``, is the one that the end of the run is judged by.
        margin (float): Points of the metric by which a run may be lower, and by which it must be
            higher for terms to come back. Defaults to 1.
        backoff (float): In [0, 1): each time that terms are switched off, they come back with a
            factor that is multiplied by it; it climbs by the same steps. Defaults to 0: they never
            come back, which saves most where the images do harm.
        lowest (float, optional): Terms do not come back with a factor below it; only with
            ``backoff``. Defaults to None: 0.1, so that with ``backoff=0.25`` they are off for good
            the second time, unless the factor has climbed in between.

    Raises:
        ValueError: If a number lies outside its range, the model has no terms to weigh, no
            validation comes before the end of the run, or the named baseline cannot be compared.
        FileNotFoundError: If the named baseline has no run.
    """

    config_key = KEY

    def __init__(
        self,
        baseline: str = AUTO,
        metric: Optional[str] = None,
        margin: float = 1.0,
        backoff: float = 0.0,
        lowest: Optional[float] = None,
    ) -> None:
        if lowest is not None and not backoff:
            raise ValueError(f'{KEY}.lowest needs {KEY}.backoff: without it terms never come back')
        lowest = LOWEST if lowest is None else lowest
        for name, value in dict(backoff=backoff, lowest=lowest).items():
            settings.check_number(f'{KEY}.{name}', value, 0, 1)
        settings.check_number(f'{KEY}.margin', margin, 0)
        if backoff == 1:
            raise ValueError(f'{KEY}.backoff must be below 1, or the guard does nothing')
        self.baseline, self.metric, self.margin = baseline, metric, margin
        self.backoff, self.lowest = backoff, lowest
        self.run: Optional[BaselineRun] = None
        self.trains = self.clears = False

    def before_run(self, runner: Runner) -> None:
        """Give the model its factor, before a checkpoint is loaded into it."""
        model = segmentor_of(runner.model)
        if not isinstance(model, SemiSegmentor) or not guarded_terms(model):
            raise ValueError(
                f'{KEY}: {type(model).__name__} has no supervised loss beside others, so that '
                f'there is nothing to weigh: set {KEY}=None'
            )
        if model.unlabeled_weight is None:
            model.unlabeled_weight = UnlabeledWeight().to(model.num_updates.device)
        self.model, self.weight = model, model.unlabeled_weight

    def before_train(self, runner: Runner) -> None:
        """Find the baseline; take the factor of a resumed run, and 1 in a new one."""
        last = last_before_end(runner)
        self.metric = self.metric or _best_metric(runner)
        if self.metric.endswith(LOWER_IS_BETTER):
            raise ValueError(
                f'{KEY}.metric="{self.metric}": lower is better there; name another, such as "mIoU"'
            )
        member, _, rest = self.metric.partition('/')
        self.plain_metric = rest if member in self.model.member_names else self.metric
        self.run = self._find(runner, last / runner.max_iters)
        self.weight.restore()
        if not runner.iter:
            self.weight.set(1.0, 1.0)
        self.trains, self.clears = True, True
        if self.run is not None:
            runner.logger.info(f'{KEY}: baseline {self.run.folder}, compared by {self.metric}')

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Log the factor; with 0, no longer what the step does not compute."""
        hub = runner.message_hub
        hub.update_scalar(SCALAR, self.weight.factor)
        if self.weight.factor == 0 and self.clears:
            self.clears = False
            for name in [name for name in hub.log_scalars if name.startswith(OF_STUDENTS)]:
                if name[len('train/') :] not in (outputs or {}):
                    del hub.log_scalars[name]

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        """Compare, and change the factor, equally on all ranks."""
        if not self.trains:
            return
        scores = metrics or {}
        if self.metric not in scores:
            raise ValueError(
                f'{KEY}.metric="{self.metric}" is no score of the validation: give one of '
                f'{", ".join(scores)}'
            )
        chosen = [(self.weight.factor, self.weight.retry)]
        if is_main_process() and self.run is not None:
            chosen = [self._next_factors(runner, float(scores[self._best_of(scores)]))]
        broadcast_object_list(chosen)  # nodes may see files of the baseline differently
        self.weight.set(*chosen[0])
        self.clears = True

    def after_train(self, runner: Runner) -> None:
        """Say whether the run has ended below its baseline, and what to use then."""
        self.trains = False
        if self.run is None or runner.iter < runner.max_iters:
            return
        scores = {
            name[len('val/') :]: float(buffer.current())
            for name, buffer in runner.message_hub.log_scalars.items()
            if name.startswith('val/')
        }
        score, best = scores[self.metric], self._best_of(scores)
        reference = self.run.score_at_progress(self.plain_metric, 1.0)
        if reference is None or score >= reference - self.margin:
            return
        enough = scores[best] >= reference - self.margin
        other = f'{best} {scores[best]:.2f} is not: predict with that member, or ' if enough else ''
        runner.logger.warning(
            f'this run ends below its supervised baseline: {self.metric} {score:.2f}, baseline '
            f'{reference:.2f}; {other}use {_checkpoint(self.run.folder)}'
        )

    def _best_of(self, scores: Mapping[str, float]) -> str:
        """Name of the highest score among those of the members."""
        names = [f'{member}/{self.plain_metric}' for member in self.model.member_names]
        own = self.metric or MIOU
        return max(
            [own, *(name for name in names if name in scores)], key=lambda name: scores[name]
        )

    def _find(self, runner: Runner, last: float) -> Optional[BaselineRun]:
        """The baseline, if it can be compared up to a ratio of the training."""
        cfg, auto = runner.cfg, self.baseline == AUTO
        if auto:
            run = find_baseline(cfg, runner.work_dir)
            line = 'no supervised run is beside the work folder of this one'
        else:
            key, without = f'{KEY}.baseline', f'{KEY}=None for no guard'
            run = named_baseline(cfg, self.baseline, key, without)
        if run is not None and run.score_at_progress(self.plain_metric, last) is None:
            line = (
                f'{run.folder} has no {self.plain_metric} of the first {last:.0%} of its training'
            )
            run = None
        if run is None:
            line += (
                ': train the supervised config with train_cfg.val_interval of this run, to a work '
                f'folder beside that of this run, or name its folder in {KEY}.baseline'
            )
            if not auto:
                raise ValueError(f'{KEY}.baseline="{self.baseline}": {line}')
            runner.logger.warning(f'{KEY} is off: {line}')
        return run

    def _next_factors(self, runner: Runner, score: float) -> Tuple[float, float]:
        assert self.run is not None
        progress = min(runner.iter / runner.max_iters, 1.0)
        reference = self.run.score_at_progress(self.plain_metric, progress)
        before = self.weight.factor, self.weight.retry
        if reference is None:
            return before
        after = next_factors(*before, score - reference, self.margin, self.backoff, self.lowest)
        if after[0] != before[0]:
            runner.logger.info(
                f'{KEY}: {self.plain_metric} of the best member {score:.2f}, baseline '
                f'{reference:.2f}: weight of the unlabelled images {before[0]:.3g} -> '
                f'{after[0]:.3g}'
            )
        return after


def next_factors(
    factor: float, retry: float, difference: float, margin: float, backoff: float, lowest: float
) -> Tuple[float, float]:
    """Factor after a validation, and the one to come back with.

    Args:
        factor (float): Before it; 0: terms are off.
        retry (float): With which they come back; 0: never.
        difference (float): Score of the run less that of the baseline.
        margin (float): Points by which the run may be lower, and must be higher to come back.
        backoff (float): Step down, and up.
        lowest (float): Smallest factor with which terms come back.
    """
    if difference < -margin and factor:
        lower = factor * backoff
        return 0.0, lower if lower >= lowest else 0.0
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
        ValueError: If there is none.
    """
    loop, total = runner.train_loop, runner.max_iters
    last = (total - 1) // loop.val_interval * loop.val_interval
    if runner.val_loop is None or last < max(loop.val_begin, 1):
        raise ValueError(
            f'train_cfg.val_interval={loop.val_interval}: the run of {total} iterations is not '
            f'validated before its end, so that {KEY} can do nothing: lower it, for example to '
            f'{max(total // 10, 1)}, or set {KEY}=None'
        )
    return last


def _best_metric(runner: Runner) -> str:
    """The metric that chooses the best checkpoint, or mIoU."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best not in (None, 'auto'):
            best = hook.save_best
            return best if isinstance(best, str) else best[0]
    return MIOU


def _checkpoint(folder: Path) -> str:
    pointer = folder / POINTER
    return pointer.read_text().strip() if pointer.is_file() else f'a checkpoint in {folder}'
