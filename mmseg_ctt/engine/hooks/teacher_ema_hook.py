# Copyright (c) mmseg_ctt contributors.
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from ...functional import ema_decay, ema_update_
from ...methods.base import SemiSegmentor
from ...nn.unwrap import unwrapped


@HOOKS.register_module()
class TeacherEMAHook(Hook):
    """Moves every teacher towards its student after each optimiser step.

    Tied to the step of the optimiser itself, not to the iteration: with gradient accumulation it
    runs once per update, and not at all when the AMP scaler skips one. All teachers together are
    one call (plus one for integer buffers).

    Args:
        alpha (float): Weight of the old teacher, reached through ``min(1 - 1/(t + 1), alpha)``
            at update ``t``. Defaults to 0.99 (released code).
        buffers (bool): Whether batch-norm statistics, too, follow the student and nothing else.
            The released code leaves them to the teacher's own training-mode passes, that is to
            the images a teacher sees. It makes no difference to what a teacher in training mode
            teaches, but to its validation and export. Defaults to True.

    Raises:
        ValueError: If ``alpha`` lies outside [0, 1], teachers would be left with batch statistics
            that nothing updates, or the optimiser holds teacher parameters.
    """

    def __init__(self, alpha: float = 0.99, buffers: bool = True) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f'TeacherEMAHook.alpha must be in [0, 1], got {alpha}')
        self.alpha, self.buffers = alpha, buffers
        self.handle: Optional[RemovableHandle] = None

    def before_train(self, runner: Runner) -> None:
        """Copy students to teachers that have never been updated; follow the optimiser's steps.

        Teachers of a resumed run, or of the run that ``load_from`` names, stay what they are.
        """
        model = unwrapped(runner.model)
        optimizer = runner.optim_wrapper.optimizer
        self._check(model, optimizer)
        if not model.teachers:  # with nothing to update, nothing is counted either
            return
        self.updates = int(model.ema_updates)
        if self.updates == 0:
            model.copy_students_to_teachers()
        track_statistics(model.teachers, not self.buffers)
        self.model, self.pairs = model, model.ema_pairs(self.buffers)
        self.handle = optimizer.register_step_post_hook(self._update)

    def after_train(self, runner: Runner) -> None:
        """Let go of the optimiser and of the teachers' statistics."""
        if self.handle is not None:
            self.handle.remove()
            track_statistics(self.model.teachers, True)

    def _check(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if not isinstance(model, SemiSegmentor):
            raise ValueError(
                'TeacherEMAHook in custom_hooks needs a semi-supervised model, got '
                f'{type(model).__name__}: remove the hook'
            )
        if not self.buffers and model.teacher_mode == 'eval':
            raise ValueError(
                'TeacherEMAHook.buffers=False needs model.teacher_mode="train": '
                "nothing would update the teachers' batch-norm statistics"
            )
        taught = {id(parameter) for parameter in model.teachers.parameters()}
        if any(id(p) in taught for group in optimizer.param_groups for p in group['params']):
            raise ValueError(
                'teachers must not be in the optimiser: set '
                'optim_wrapper.constructor="StudentOptimWrapperConstructor"'
            )

    @torch.no_grad()
    def _update(self, optimizer: torch.optim.Optimizer, *_) -> None:
        # a scaler calls a fused optimiser for every step, which skips those with overflow itself
        overflow = getattr(optimizer, 'found_inf', None)
        if overflow is not None and overflow.item():
            return
        ema_update_(*self.pairs['average'], ema_decay(self.updates, self.alpha))
        if self.pairs['copy'][0]:
            torch._foreach_copy_(*self.pairs['copy'])
        self.updates += 1
        self.model.ema_updates += 1


def track_statistics(modules: torch.nn.Module, track: bool) -> None:
    """Whether passes in training mode move the running statistics of batch norm.

    Such passes normalise with the statistics of their batch in either case, and passes in eval
    mode with the running ones.
    """
    for module in modules.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None:
            module.track_running_stats = track
