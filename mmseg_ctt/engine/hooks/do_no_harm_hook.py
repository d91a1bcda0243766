# Copyright (c) mmseg_ctt contributors.
from pathlib import Path
from typing import Dict, Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...methods.base import SemiSegmentor
from ...nn import settings
from ...nn.ranks import on_main_process
from ...nn.unlabeled_weight import GuardState, UnlabeledWeight
from ...nn.unwrap import segmentor_of
from ..baseline_run import BaselineRun, find_baseline, named_baseline
from ..compared_score import compared_score
from ..harm_rule import KEY, HarmRule, guarded_terms, last_start
from ..resume import last_checkpoint

AUTO = 'auto'
LOWEST = 0.1
SCALAR = 'train/unlabeled_weight'
OF_STUDENTS = 'train/student'


@HOOKS.register_module()
class DoNoHarmHook(Hook):
    """Guard against unlabelled images that make a run worse than its supervised baseline.

    After each validation it compares the best member of the run with a baseline run; teachers lag
    behind their students at first, which says nothing about the unlabelled images. A run below the
    baseline trains as the baseline does: the factor of all loss terms but the supervised one is 0,
    that one has the weight 1, also where ``loss_weights.sup`` is another, and networks see no
    unlabelled images. ``patience`` asks for several low validations in a row. With ``backoff``,
    once it is above the baseline by the margin, the terms come back with a smaller factor, which
    climbs while it is not below, to at most 1; a run that is below again and again keeps the factor
    0. Factor, the one to come back with, and the number of low validations are in the model, as
    ``unlabeled_weight.state``, and in the checkpoint, not in exports; the log has the factor as
    ``unlabeled_weight``.

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
        margin (float, optional): In the unit of the metric: by how much a run may be lower, and
            must be higher for terms to come back. Defaults to None: 1 for a metric in per cent.
            Dice and Jaccard of :class:`VolumeMetric` are from 0 to 1, and need a number, such as
            0.01.
        patience (int): Number of validations in a row that must be below the baseline by more than
            the margin before terms are switched off. Defaults to 2: one low score is often chance,
            or the slow start of a method. With 1 harm is stopped at once.
        backoff (float): In [0, 1): each time that terms are switched off, they come back with a
            factor that is multiplied by it; it climbs by the same steps. Defaults to 0: they never
            come back, also in a resumed run, which saves most where the images do harm.
        lowest (float, optional): Terms do not come back with a factor below it; only with
            ``backoff``, and at most that. Defaults to None: 0.1, so that with ``backoff=0.25`` they
            are off for good the second time, unless the factor has climbed in between.

    Raises:
        ValueError: If a number lies outside its range, the model has no terms to weigh, no
            validation comes before the end of the run, the metric is no score of it, or the named
            baseline cannot be compared.
        FileNotFoundError: If the named baseline has no run.
    """

    config_key = KEY

    def __init__(
        self,
        baseline: str = AUTO,
        metric: Optional[str] = None,
        margin: Optional[float] = None,
        patience: int = 2,
        backoff: float = 0.0,
        lowest: Optional[float] = None,
    ) -> None:
        if lowest is not None and not backoff:
            raise ValueError(f'{KEY}.lowest needs {KEY}.backoff: without it terms never come back')
        lowest = LOWEST if lowest is None else lowest
        for name, value in dict(backoff=backoff, lowest=lowest).items():
            settings.check_number(f'{KEY}.{name}', value, 0, 1)
        settings.check_number(f'{KEY}.patience', patience, 1, whole=True)
        if margin is not None:
            settings.check_number(f'{KEY}.margin', margin, 0)
        if backoff == 1:
            raise ValueError(f'{KEY}.backoff must be below 1, or the guard does nothing')
        if 0 < backoff < lowest:
            raise ValueError(
                f'{KEY}.backoff={backoff} is below {KEY}.lowest={lowest}, so that terms would '
                f'never come back: set {KEY}.lowest to at most {backoff}, or no backoff'
            )
        self.baseline, self.metric, self.margin = baseline, metric, margin
        self.patience, self.backoff, self.lowest = patience, backoff, lowest
        self.run: Optional[BaselineRun] = None  # on the main process
        self.compares = self.trains = self.clears = False

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
        last = last_start(runner, self.patience)
        self.score = compared_score(runner, self.metric, self.margin)
        self.rule = HarmRule(self.score.margin, self.patience, self.backoff, self.lowest)
        self.compares = on_main_process(lambda: self._find(runner, last / runner.max_iters))
        self.weight.restore()
        if not runner.iter:
            self.weight.set(GuardState())
        elif self.weight.factor < 1 and not self.compares:
            kept = f'{self.weight.factor:.3g} of the checkpoint'
            runner.logger.warning(f'{KEY}: unlabelled images keep the weight {kept}')
        self.trains, self.clears = True, True

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
                    hub._resumed_keys.pop(name, None)  # or each resume warns of it

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        """Compare, and change the factor, equally on all ranks."""
        if not self.trains or not self.compares:
            return
        scores = metrics or {}
        if self.score.name not in scores:
            raise ValueError(
                f'{KEY}.metric="{self.score.name}" is no score of the validation: give one of '
                f'{", ".join(scores)}'
            )
        best = float(scores[self.score.best_of(scores)])
        # nodes may see files of the baseline differently
        self.weight.set(on_main_process(lambda: self._next_state(runner, best)))
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
        name, best, text = self.score.name, self.score.best_of(scores), self.score.text
        score, reference = scores[name], self.run.score_at_progress(self.score.plain, 1.0)
        if reference is None or score >= reference - self.score.margin:
            return
        enough = scores[best] >= reference - self.score.margin
        other = f'{best} {text(scores[best])} is not: predict with that member, or '
        runner.logger.warning(
            f'this run ends below its supervised baseline: {name} {text(score)}, baseline '
            f'{text(reference)}; {other if enough else ""}use {_checkpoint(self.run.folder)}'
        )

    def _find(self, runner: Runner, last: float) -> bool:
        """Find the baseline, if it can be compared up to a ratio of the training."""
        cfg, auto = runner.cfg, self.baseline == AUTO
        if auto:
            run = find_baseline(cfg, runner.work_dir)
            line = 'no supervised run is beside the work folder of this one'
        else:
            key, without = f'{KEY}.baseline', f'{KEY}=None for no guard'
            run = named_baseline(cfg, self.baseline, key, without)
        plain = self.score.plain
        if run is not None and run.score_at_progress(plain, last) is None:
            line = f'{run.folder} has no {plain} of the first {last:.0%} of its training'
            run = None
        if run is None:
            line += (
                ': train the supervised config with train_cfg.val_interval of this run, to a work '
                f'folder beside that of this run, or name its folder in {KEY}.baseline'
            )
            if not auto:
                raise ValueError(f'{KEY}.baseline="{self.baseline}": {line}')
            runner.logger.warning(f'{KEY} is off: {line}')
        else:
            runner.logger.info(f'{KEY}: baseline {run.folder}, compared by {self.score.name}')
        self.run = run
        return run is not None

    def _next_state(self, runner: Runner, score: float) -> GuardState:
        assert self.run is not None
        progress = min(runner.iter / runner.max_iters, 1.0)
        plain, text, before = self.score.plain, self.score.text, self.weight.current
        reference = self.run.score_at_progress(plain, progress)
        if reference is None:
            return before
        after = self.rule.after(before, score - reference)
        if after.low:
            what = f'low for {after.low:.0f} of {self.patience} validations'
        elif after.factor != before.factor:
            what = f'weight of the unlabelled images {before.factor:.3g} -> {after.factor:.3g}'
        else:
            return after
        scores = f'{text(score)}, baseline {text(reference)}'
        runner.logger.info(f'{KEY}: {plain} of the best member {scores}: {what}')
        return after


def _checkpoint(folder: Path) -> str:
    last = last_checkpoint(str(folder))
    return last if last and Path(last).is_file() else f'a checkpoint in {folder}'
