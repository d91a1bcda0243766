# Copyright (c) mmseg_ctt contributors.
"""What a runner writes into the work folder when its set-up has passed."""

import os.path as osp
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from mmengine.dist import barrier, is_main_process
from mmengine.runner import Runner
from mmengine.utils import mkdir_or_exist

from .held_log import let_go
from .recorded_config import record_config


class Start:
    """What a runner has not written yet.

    Args:
        work_dir (str): Work folder of the run.

    Attributes:
        passed (bool): Whether it is written.
        later (list[Callable]): Calls that write.
        notes (dict[str, list[str]]): Further lines of the summary, by ``'train'``, ``'val'``,
            ``'test'``.
        iterated (bool): Whether an iteration has been trained.
    """

    def __init__(self, work_dir: str) -> None:
        self.work_dir = osp.abspath(work_dir)
        self.passed = False
        self.later: List[Callable[[], Any]] = []
        self.notes: Dict[str, List[str]] = {}
        self.iterated = False
        self._recorded: Optional[Path] = None  # by this start

    def write(self, runner: Runner, training: bool) -> None:
        """Write all that was held back; a second call does nothing.

        Args:
            runner (Runner): Its set-up has passed, on this rank.
            training (bool): Whether it trains. Others record their config beside their log alone.
        """
        if self.passed:
            return
        barrier()  # a rank that fails ends the others here
        self.passed = True
        mkdir_or_exist(runner.log_dir)
        let_go(runner.logger)
        for call in self.later:
            call()
        if is_main_process() and (training or not osp.exists(_recorded_path(runner))):
            self.record(runner)

    def record(self, runner: Runner) -> None:
        """Record the config of a runner by :func:`record_config`."""
        folder, name = osp.split(_recorded_path(runner))
        present = set(Path(folder).glob('*.py'))
        path = record_config(runner.cfg, folder, name, runner.timestamp)
        if path not in present:
            self._recorded = path

    def take_back(self) -> None:
        """Remove the config of a training that failed in its first iteration.

        The corrected start then has the name for its config, and no checkpoint is without one.
        """
        if self._recorded is not None and not self.iterated:
            self._recorded.unlink(missing_ok=True)


def _recorded_path(runner: Runner) -> str:
    name = runner.cfg.filename
    return osp.join(runner.work_dir, osp.basename(name) if name else f'{runner.timestamp}.py')
