# Copyright (c) mmseg_ctt contributors.
import logging
import os.path as osp
from typing import Any, Optional, Set

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...nn import settings
from ...nn.memory_bank import ClassMemoryBank
from ...nn.memory_contrast import MemoryContrast
from ...nn.signatures import settings_of
from ...nn.unwrap import unwrapped
from ..compared_score import is_share
from ..guards import (
    confident_ratio,
    duplicate_images,
    empty_queues,
    not_finite,
    teacher_below_student,
)
from ..resume import last_checkpoint
from ..score_checks import check_score, main_metric, scores_of

KEY = 'default_hooks.guards'
POINT = 1.0  # of a score in per cent
RENAMED = dict(confident=f'{KEY}.confident_iters')


@HOOKS.register_module()
class GuardHook(Hook):
    """Warnings about runs that fail, each one line of the log with the remedy.

    A loss or a weight that is not finite ends the run before anything is saved. The other cases
    are warnings, logged once, and again if they return. The hook reads the numbers that mmengine
    logs anyway, and from the device only the filled ratio of the queues, every ``queues``
    iterations.

    Args:
        finite (bool): Whether to end the run at a loss that is not finite. Defaults to True.
        validations (int): Consecutive validations in which a teacher is worse than its student
            before a warning; 0: no warning. Defaults to 3.
        metric (str, optional): Score by which they are compared, without the name of a member.
            Defaults to None: mIoU, or the first one of the predicting member.
        margin (float, optional): By how much of ``metric`` a teacher may be lower: in good runs the
            members differ by up to half a point. Defaults to None: a point, which is 0.01 of scores
            from 0 to 1.
        confident_iters (int): Iterations in which the ratio of confident pixels is 0 or 1 before a
            warning; 0: no warning; at most ``SafeCheckpointHook.history``. Defaults to 500.
        queues (int): Iterations between two checks for empty queues; 0: no check.
            Defaults to 1000.
        duplicates (bool): Whether to compare the contents of the images of all sources at the
            start. Defaults to True.
        former: Settings of version 0.1, for the error that names the new ones.

    Raises:
        ValueError: If a number is negative or a setting unknown; in training, if a loss or weight
            is not finite.
    """

    config_key = KEY
    EDGE = 1e-3  # distance of a ratio from 0 or 1 that counts as 0 or 1

    def __init__(
        self,
        finite: bool = True,
        validations: int = 3,
        metric: Optional[str] = None,
        margin: Optional[float] = None,
        confident_iters: int = 500,
        queues: int = 1000,
        duplicates: bool = True,
        **former: Any,
    ) -> None:
        known = [parameter.name for parameter in settings_of(GuardHook)]
        settings.check_keys(KEY, former, known, renamed=RENAMED)
        for name, value in dict(
            validations=validations, margin=margin, confident_iters=confident_iters, queues=queues
        ).items():
            if value is not None and value < 0:
                raise ValueError(f'{KEY}.{name} must not be negative, got {value}')
        self.finite, self.duplicates, self.metric = finite, duplicates, metric
        self.validations, self.margin = validations, margin
        self.confident_iters, self.queues = confident_iters, queues
        self.given: Set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Compare the contents of the images of all sources."""
        self.model = unwrapped(runner.model)
        if self.validations and self.metric is not None and runner._val_loop is not None:
            metrics, scores = runner.val_evaluator.metrics, scores_of(runner.model)
            check_score(f'{KEY}.metric', self.metric, metrics, (), scores)
        if self.duplicates and is_main_process():
            dataset = runner.train_loop.dataloader.dataset
            self._warn(runner, 'duplicates', duplicate_images(dataset))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Check the logged numbers of the iteration."""
        done = runner.iter + 1
        if self.finite:
            self._stop_if_not_finite(runner, done, outputs or {})
        if self.confident_iters and done % self.confident_iters == 0 and self._has_threshold():
            self._check_confidence(runner)
        if self.queues and done % self.queues == 0:
            self._check_queues(runner, done)

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Compare teachers with their students."""
        if not self.validations:
            return
        metric = self.metric or main_metric(list(metrics or {}))
        suffix, margin = f'/{metric}', self.margin
        if margin is None:
            margin = POINT / 100 if is_share(metric, runner.val_evaluator.metrics) else POINT
        scores = {
            name[len('val/') : -len(suffix)]: buffer.data[0].tolist()
            for name, buffer in runner.message_hub.log_scalars.items()
            if name.startswith('val/') and name.endswith(suffix)
        }
        self._warn(runner, 'teacher', teacher_below_student(scores, self.validations, margin))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save weights that are not finite."""
        if not self.finite:
            return
        for name, value in checkpoint['state_dict'].items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise ValueError(
                    f'{name} is not finite and is not saved; '
                    + _last_good(runner)
                    + '. Lower optim_wrapper.optimizer.lr, or set optim_wrapper.'
                    'clip_grad=dict(max_norm=10)'
                )

    def _stop_if_not_finite(self, runner: Runner, done: int, outputs: dict) -> None:
        hub = runner.message_hub
        values = {
            name: float(hub.get_scalar(f'train/{name}').current())
            for name in outputs
            if f'train/{name}' in hub.log_scalars and 'loss' in name
        }
        line = not_finite(values)
        if line is not None:
            raise ValueError(
                f'the loss of iteration {done} is not finite, training ends; '
                f'{_last_good(runner)}. {line}'
            )

    def _has_threshold(self) -> bool:
        """Whether pixels below a threshold are left out of the loss."""
        consistency = getattr(self.model, 'consistency', None)
        return getattr(consistency, 'confidence_threshold', 0) > 0

    def _has_eval_teachers(self) -> bool:
        """Whether teachers in eval mode give the pseudo-labels."""
        teaching = getattr(self.model, 'teaching_members', [])
        teachers = any(name.startswith('teacher') for name in teaching)
        return teachers and self.model.teacher_mode == 'eval'

    def _check_confidence(self, runner: Runner) -> None:
        window = self.confident_iters
        ratios = {
            name[len('train/') :]: float(buffer.mean(window))
            for name, buffer in runner.message_hub.log_scalars.items()
            if name.endswith('.confident_ratio')
        }
        line = confident_ratio(ratios, window, self.EDGE, self._has_eval_teachers())
        self._warn(runner, 'confidence', line)

    def _check_queues(self, runner: Runner, done: int) -> None:
        contrast = getattr(self.model, 'contrast', None)
        if not isinstance(contrast, MemoryContrast):
            return
        if not isinstance(contrast.bank, ClassMemoryBank):  # a queue of another is of no class
            return
        waits = contrast.waits and not contrast.active
        fill = contrast.fill_ratio().min(dim=0).values.tolist()
        dataset = runner.train_loop.dataloader.dataset
        classes = dataset.metainfo.get('classes') or range(len(fill))
        self._warn(runner, 'queues', empty_queues(fill, classes, done, waits))

    def _warn(self, runner: Runner, kind: str, line: Optional[str]) -> None:
        """Log a line once, and once more after it had ceased to be true."""
        if line is None:
            self.given.discard(kind)
        elif kind not in self.given:
            self.given.add(kind)
            runner.logger.log(logging.WARNING, line)


def _last_good(runner: Runner) -> str:
    """The checkpoint to resume from, in words."""
    last = last_checkpoint(runner.work_dir)
    if last is None:
        return 'nothing was saved before'
    there = '://' in last or osp.isfile(last)
    return f'the last good checkpoint is {last}' if there else 'no checkpoint is left'
