# Copyright (c) mmseg_ctt contributors.
import os
import signal
from contextlib import suppress
from typing import Optional, Sequence

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..checkpoint import VALIDATED

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: try again later


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves a checkpoint and ends the run when the cluster asks for the machine.

    After a signal the run ends with the next iteration (with gradient accumulation, the next step
    of the optimiser; in a validation of a single process, the next image), with a checkpoint of
    that moment and an exit code that tells a job script to start it again with ``--resume``. All
    ranks leave at the same iteration, whichever got the signal: they compare one number at every
    ``interval``. A single process compares nothing.

    Args:
        signals (Sequence[str]): Defaults to ``('SIGTERM', 'SIGUSR1')``.
        exit_code (int): Defaults to 75.
        interval (int): Iterations between two looks of several ranks. Defaults to 1.

    Raises:
        ValueError: If a signal is unknown, or ``interval`` is not positive.
    """

    priority = 'LOWEST'  # after the checkpoint of the same iteration

    def __init__(
        self,
        signals: Sequence[str] = ('SIGTERM', 'SIGUSR1'),
        exit_code: int = EXIT_CODE,
        interval: int = 1,
    ) -> None:
        unknown = [name for name in signals if name not in signal.Signals.__members__]
        if unknown or interval < 1:
            raise ValueError(
                'PreemptionHook needs names of signals and a positive interval, got '
                f'signals={tuple(signals)}, interval={interval}'
            )
        self.signals = [signal.Signals[name] for name in signals]
        self.exit_code, self.interval = exit_code, interval
        self.asked: Optional[str] = None
        _let_workers_live()

    def before_train(self, runner: Runner) -> None:
        """Listen from here on; before there is nothing to save."""
        found = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        self.before = {}
        if not found:
            runner.logger.warning(
                'default_hooks.checkpoint is switched off, so that the preemption hook has nothing '
                'to save with: a signal ends the run at once'
            )
            return
        self.checkpoint = found[0]
        self.before = {number: signal.signal(number, self._note) for number in self.signals}

    def after_train(self, runner: Runner) -> None:
        """Let the signals have their usual effect again."""
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Leave after this iteration if any rank was asked to."""
        due = (runner.iter + 1) % self.interval == 0 or get_world_size() == 1
        if due and self._agreed() and runner.optim_wrapper.should_update():
            self._leave(runner, runner.iter + 1)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Leave a long validation too; it is made up for when the run goes on.

        Ranks may have different numbers of images, so that several ranks finish it.
        """
        if self.asked and get_world_size() == 1 and runner.optim_wrapper.should_update():
            runner.message_hub.update_info(VALIDATED, -1)
            self._leave(runner, runner.iter)

    def _note(self, number: int, _) -> None:
        self.asked = signal.Signals(number).name

    def _agreed(self) -> bool:
        if get_world_size() == 1:
            return self.asked is not None
        flag = torch.tensor(float(self.asked is not None))
        all_reduce(flag, op='max')
        return bool(flag)

    def _leave(self, runner: Runner, step: int) -> None:
        name = self.checkpoint.filename_tmpl.format(step)
        if os.path.basename(self.checkpoint.last_ckpt or '') != name:
            self.checkpoint._save_checkpoint_with_step(
                runner, step, meta=dict(epoch=runner.epoch, iter=step)
            )
        for number in self.signals:  # Slurm sends another once the first rank is gone
            signal.signal(number, signal.SIG_IGN)
        barrier()
        runner.logger.info(
            f'{self.asked or "another rank was asked"}: saved {name}, ending with '
            f'exit code {self.exit_code}; --resume goes on from there'
        )
        raise SystemExit(self.exit_code)


def _let_workers_live() -> None:
    """Keep signals that are sent to the whole process group away from the loaders' workers.

    They would end, and their end would stop the iteration half way. Workers whose main process
    is gone end by themselves.
    """
    global _registered
    if not _registered and hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=_leave_group)
    _registered = True


def _leave_group() -> None:
    with suppress(OSError):  # a leader of a session cannot and need not
        os.setpgid(0, 0)


_registered = False
