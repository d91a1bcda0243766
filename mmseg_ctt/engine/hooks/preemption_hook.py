# Copyright (c) mmseg_ctt contributors.
import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any, Dict, Optional, Sequence

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..checkpoint import VALIDATED

KEY = 'default_hooks.preemption'
EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: try again later
INTERRUPTED = 130  # exit code of shells for Ctrl-C
SAME = 1.0  # seconds in which a second SIGINT is the first one again
NOTE = b'\nCtrl-C: saves a checkpoint after this iteration; once more ends the run at once\n'


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Hook that saves a checkpoint and ends the run when the cluster preempts it, or on Ctrl-C.

    After a signal the run ends with the next iteration (with gradient accumulation, the next step
    of the optimiser; in a validation of a single process, the next image). It saves a checkpoint
    and exits with a code that tells a job script to start it again with ``--resume``. All ranks
    end at the same iteration, whichever received the signal: they reduce one number at every
    ``interval``. A single process does not communicate.

    Ctrl-C (``SIGINT``) does the same with exit code 130, so that no job script starts it again.
    A second Ctrl-C ends the process at once, without a checkpoint. torchrun passes one Ctrl-C on as
    two signals; what comes in the first second counts as the same.

    In a program that goes on after the run (:meth:`stay_in_process`) Ctrl-C raises
    ``KeyboardInterrupt`` in the place of both ends.

    Args:
        signals (Sequence[str]): Names of signals. Defaults to ``('SIGTERM', 'SIGUSR1', 'SIGINT')``.
        exit_code (int): Of a run that is to be started again. Defaults to 75.
        interval (int): Iterations between two reductions over the ranks. Defaults to 1.

    Raises:
        ValueError: If a signal is unknown, or ``interval`` is not positive.
    """

    config_key = KEY
    priority = 'LOWEST'  # after the checkpoint of the same iteration

    def __init__(
        self,
        signals: Sequence[str] = ('SIGTERM', 'SIGUSR1', 'SIGINT'),
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
        self.received: Optional[str] = None
        self.agreed = 0  # exit code of all ranks, until the next step of the optimiser
        self.interrupted = 0.0  # time of the first Ctrl-C, 0 before it
        self.exits = True
        self.before: Dict[int, Any] = {}  # handlers of before the run
        _detach_workers()

    def stay_in_process(self) -> None:
        """Never end the process, and leave all signals but Ctrl-C to the program.

        A notebook, say. Outside the main thread, where Python allows no handlers, Ctrl-C is left
        to the program too.
        """
        self.exits = False
        in_main = threading.current_thread() is threading.main_thread()
        self.signals = [signal.SIGINT] if in_main else []

    def before_train(self, runner: Runner) -> None:
        """Install the signal handlers; before training there is nothing to save."""
        found = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        self.before, self.agreed = {}, 0
        if not found:
            runner.logger.warning(
                'default_hooks.checkpoint is switched off, so that the preemption hook has nothing '
                'to save with: a signal ends the run at once'
            )
            return
        self.checkpoint = found[0]
        self.before = {
            number: signal.signal(number, self._handle_signal) for number in self.signals
        }

    def after_train(self, runner: Runner) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """End the run after this iteration if any rank received a signal."""
        if (runner.iter + 1) % self.interval == 0 or get_world_size() == 1:
            self.agreed = self._code_of_all()
        if self.agreed and runner.optim_wrapper.should_update():
            self._end_run(runner, runner.iter + 1, self.agreed)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """End the run during a validation, which is repeated when the run is resumed.

        With several ranks the validation runs to its end, because ranks may have different
        numbers of images.
        """
        if self.received and get_world_size() == 1 and runner.optim_wrapper.should_update():
            runner.message_hub.update_info(VALIDATED, -1)
            self._end_run(runner, runner.iter, self._code())

    def _handle_signal(self, number: int, _: Optional[FrameType]) -> None:
        self.received = signal.Signals(number).name
        if number != signal.SIGINT:
            return
        now = time.monotonic()
        if not self.interrupted:
            self.interrupted = now
            os.write(2, NOTE)  # a log may be in use where the signal comes
        elif now - self.interrupted > SAME and not self.exits:
            raise KeyboardInterrupt
        elif now - self.interrupted > SAME:
            os._exit(INTERRUPTED)  # workers of the loader end by themselves

    def _code(self) -> int:
        """Exit code for the signal of this process; 0 without one."""
        if self.received is None:
            return 0
        return INTERRUPTED if self.interrupted else self.exit_code

    def _code_of_all(self) -> int:
        """The largest exit code of all ranks."""
        if get_world_size() == 1:
            return self._code()
        code = torch.tensor(float(self._code()))
        all_reduce(code, op='max')
        return int(code)

    def _end_run(self, runner: Runner, step: int, code: int) -> None:
        name = self.checkpoint.filename_tmpl.format(step)
        if os.path.basename(self.checkpoint.last_ckpt or '') != name:
            self.checkpoint._save_checkpoint_with_step(
                runner, step, meta=dict(epoch=runner.epoch, iter=step)
            )
        if not self.exits:
            self.after_train(runner)
            raise KeyboardInterrupt(
                f'stopped: {name} is saved in {self.checkpoint.out_dir}, and resume=True goes on '
                'from there'
            )
        for number in self.signals:  # Slurm sends another when the first rank has ended
            signal.signal(number, signal.SIG_IGN)
        barrier()
        reason = 'Ctrl-C' if self.interrupted else self.received or 'a signal to another rank'
        runner.logger.info(
            f'{reason}: saved {name} in {self.checkpoint.out_dir}, ending with exit code {code}; '
            'the same command with --resume goes on from there'
        )
        raise SystemExit(code)


def _detach_workers() -> None:
    """Move future workers of data loaders out of the process group.

    A signal to the whole group would end them, and the iteration with them. Workers whose main
    process has ended exit by themselves.
    """
    global _registered
    if not _registered and hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=_leave_group)
    _registered = True


def _leave_group() -> None:
    with suppress(OSError):  # fails for a session leader, which has a group of its own
        os.setpgid(0, 0)


_registered = False
