# Copyright (c) mmseg_ctt contributors.
from functools import wraps
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm

from ...functional import copy_tensors_, ema_decay, ema_update_
from ...methods.base import SemiSegmentor
from ...methods.followers import Follower, Schedule, begin_counting_in_shifts, paired_tensors
from ...nn.unwrap import unwrapped

KEY = 'default_hooks.teacher_ema'


@HOOKS.register_module()
class TeacherEMAHook(Hook):
    """EMA update of every teacher after each optimiser step.

    With gradient accumulation that is one update in several iterations, and none where the AMP
    scaler skips a step. All teachers together are one call (plus one for integer buffers). Which
    member follows which, and how often, is in ``model.members``.

    Args:
        alpha (float): Weight of the old teacher, reached through ``min(1 - 1/(t + 1), alpha)``
            at update ``t``. Defaults to 0.99 (released code of CTT).
        buffers (bool): Whether batch-norm statistics are averages of the student's, too. False:
            the teacher's own passes in training mode update them (released code of CTT).
            Pseudo-labels of a teacher in training mode do not depend on it, its validation and
            export do. While :class:`DoNoHarmHook` has switched their passes off, the statistics
            are averages in either case. Defaults to True.

    Raises:
        ValueError: If ``alpha`` lies outside [0, 1], the model is not of this package, nothing
            would update the batch statistics of teachers, the optimiser holds teacher parameters,
            or makes no step in the turns of a teacher.
    """

    config_key = KEY
    sections = dict(_update='EMA')  # for benchmarks

    def __init__(self, alpha: float = 0.99, buffers: bool = True) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f'{KEY}.alpha must be in [0, 1], got {alpha}')
        self.alpha, self.buffers = alpha, buffers
        self.step: Optional[Callable] = None

    def before_train(self, runner: Runner) -> None:
        """Copy students to teachers that have never been updated; update after optimiser steps.

        Teachers of a resumed run, or of the run that ``load_from`` names, stay what they are.
        """
        optimizer = runner.optim_wrapper.optimizer
        model = self._checked(unwrapped(runner.model), optimizer)
        self.followers = model.followers()
        if not self.followers:  # nothing is updated, so nothing is counted
            return
        self.num_updates = int(model.num_updates)
        self.accumulation = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        self._check_shifts()
        if self.num_updates == 0:
            model.copy_to_followers()
            begin_counting_in_shifts()
        self._track_statistics(not self.buffers)
        self.model = model
        # members that are updated at the same steps share a call
        groups: Dict[Schedule, List[Follower]] = {}
        for follower in self.followers:
            groups.setdefault(follower.schedule, []).append(follower)
        self.groups = {
            buffers: {
                schedule: paired_tensors(members, buffers) for schedule, members in groups.items()
            }
            for buffers in {self.buffers, True}
        }
        self._update_after_steps(optimizer)

    def stage_starts(
        self, model: torch.nn.Module, max_iters: int
    ) -> List[Tuple[str, int, str, str]]:
        """The first turn of the last of several teachers, for :func:`check_stages`."""
        inner = unwrapped(model)
        followers = inner.followers() if isinstance(inner, SemiSegmentor) else []
        shifts = {follower.shift.shifts for follower in followers if follower.shift}
        return [found.stage(max_iters) for found in shifts]

    def after_train(self, runner: Runner) -> None:
        """Leave optimiser and batch norm as they were."""
        if self.step is not None:
            runner.optim_wrapper.optimizer.step = self.step
            self.step = None
            self._track_statistics(True)

    def _update_after_steps(self, optimizer: torch.optim.Optimizer) -> None:
        """Let each step of an optimiser end with an update.

        PyTorch has hooks for that, but ``torch.compile`` of 2.1 switches them off without a word.
        """
        step = self.step = optimizer.step

        @wraps(step)
        def updating_step(*args: Any, **kwargs: Any) -> Any:
            result = step(*args, **kwargs)
            self._update(optimizer)
            return result

        optimizer.step = updating_step  # type: ignore[method-assign]

    def _check_shifts(self) -> None:
        """Each of several teachers that take turns has steps of the optimiser in its turns."""
        found = [follower.shift.shifts for follower in self.followers if follower.shift]
        if found and found[0].left_out(self.accumulation):
            raise ValueError(
                f'optim_wrapper.accumulative_counts={self.accumulation}: each step of the '
                'optimiser would fall into a turn of the same teacher, since model.period is '
                f'{found[0].period()} iterations, and the others would never be updated: set '
                f'model.period={self.accumulation} or more'
            )

    def _checked(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> SemiSegmentor:
        if not isinstance(model, SemiSegmentor):
            raise ValueError(
                f'{KEY} needs a model of this package, got {type(model).__name__}: set {KEY}=None'
            )
        if not self.buffers:
            self._check_passes(model)
        untrained = [model.get_submodule(name) for name in model.untrained_modules]
        frozen = {id(weight) for module in untrained for weight in module.parameters()}
        if any(id(p) in frozen for group in optimizer.param_groups for p in group['params']):
            raise ValueError(
                'teachers must not be in the optimiser: set '
                'optim_wrapper.constructor="StudentOptimWrapperConstructor"'
            )
        return model

    def _check_passes(self, model: SemiSegmentor) -> None:
        """Passes in training mode update the statistics of each member that follows another."""
        if model.teacher_mode == 'eval':
            raise ValueError(
                f'{KEY}.buffers=False needs model.teacher_mode="train": '
                "nothing would update the teachers' batch-norm statistics"
            )
        for name, member in model.members.items():
            if member.follows is not None and name not in model.possible_teachers:
                raise ValueError(
                    f'{KEY}.buffers=False: {name} of {type(model).__name__} only predicts, so '
                    'nothing would update its batch-norm statistics: remove it'
                )

    @torch.no_grad()
    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        # a scaler calls a fused optimiser for every step, which skips those with overflow itself
        overflow = getattr(optimizer, 'found_inf', None)
        if overflow is not None and overflow.item():
            return
        # without unlabelled images teachers make no passes, which would move their statistics
        buffers = self.buffers or self.model.supervised_only
        for schedule, pairs in self.groups[buffers].items():
            updates = schedule.updates(self.num_updates, self.accumulation)
            if updates is not None:
                decay = ema_decay(updates, self.alpha)
                ema_update_(*pairs['average'], decay)
                if pairs['copy'][0]:
                    copy_tensors_(*pairs['copy'])
        self.num_updates += 1
        self.model.num_updates += 1

    def _track_statistics(self, track: bool) -> None:
        """Whether passes in training mode move the running statistics of the followers' batch norm.

        Such passes normalise with the statistics of their batch in either case, and passes in eval
        mode with the running ones.
        """
        for follower in self.followers:
            for module in follower.module.modules():
                if isinstance(module, _BatchNorm) and module.running_mean is not None:
                    module.track_running_stats = track
