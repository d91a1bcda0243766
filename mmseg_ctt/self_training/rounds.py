# Copyright (c) mmseg_ctt contributors.
"""Rounds of training and labelling: a recipe is a list of steps, each resumable at any point.

What every recipe has in its folder::

    state.json     settings of the run, and the step to do next
    .lock          held by the process that runs here
    */config.py    config of a training, with its checkpoints and run.log beside it
"""

import copy
import json
import shutil
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, List, NamedTuple, Sequence, Type

from mmengine.config import Config

from ..engine.files import locked, write_whole
from ..engine.processes import Resources, Stopped, run_logged
from ..engine.recorded_config import STAMP, record_config
from ..engine.resume import find_whole_checkpoint
from .round_settings import KEY, RoundSettings
from .round_state import added_switches, fingerprint

PACKAGE = 'mmseg_ctt.self_training'


class Job(NamedTuple):
    """What a step gets of the run.

    Attributes:
        resources (Resources): Threads, GPU and the signal to stop.
        lock (int): Descriptor of the lock, which a child process keeps open.
    """

    resources: Resources
    lock: int

    def check_stop(self) -> None:
        """Raise if the program was told to stop.

        Raises:
            Stopped: If it was.
        """
        if self.resources.stop.is_set():
            raise Stopped


class Step(NamedTuple):
    """A step of a recipe.

    Attributes:
        position (dict): Names the step in ``state.json``; no other step has it.
        run (Callable): Does what is left of the step; called again after a stop.
    """

    position: Dict[str, Any]
    run: Callable[[Job], None]


class Rounds(ABC):
    """Base of all recipes: folder, lock, state, trainings.

    A recipe says by :meth:`read_data`, :meth:`check`, :meth:`steps` and :meth:`final_folder` what
    is its own, and by ``settings_class`` which settings it has.

    Args:
        cfg (Config): Complete config of the base method; ``self_training`` holds the settings.
        folder (Path): Folder of the run.
        root (Path): Root of the repository, for ``tools/train.py``.
        report (Callable): Receives lines of progress. Defaults to ``print``.

    Raises:
        TypeError: If a setting is of another type.
        ValueError: For bad settings.
    """

    settings_class: ClassVar[Type[RoundSettings]]

    def __init__(
        self, cfg: Config, folder: Path, root: Path, report: Callable[[str], None] = print
    ) -> None:
        self.settings: Any = self.settings_class.of(cfg.get(KEY))
        self.cfg, self.folder, self.root, self.report = cfg, folder.resolve(), root, report
        self.file = self.folder / 'state.json'

    # ---- what a recipe says

    @abstractmethod
    def read_data(self) -> None:
        """Read what the steps need of the data; nothing is written yet.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If the data do not fit.
        """

    @abstractmethod
    def check(self, folder: Path) -> None:
        """Check the config and all later steps before the first training.

        Args:
            folder (Path): Does not exist; may be made and used, and is removed afterwards.

        Raises:
            ValueError: Names the key and what to set, or the step that would fail.
        """

    @abstractmethod
    def steps(self) -> Sequence[Step]:
        """All steps in order.

        The first is a training, or does nothing: as long as ``first_folder`` has no checkpoint, it
        may be started again with other settings. What it wrote would be mixed with theirs.
        """

    @abstractmethod
    def first_folder(self) -> str:
        """Folder of the first training, relative to that of the run."""

    @classmethod
    @abstractmethod
    def final_folder(cls, settings: Any) -> str:
        """Folder of the training whose checkpoint is the result, relative to that of the run.

        Args:
            settings (RoundSettings): Of the recipe.
        """

    def closing_lines(self) -> List[str]:
        """Lines for the user at the end: what to do with the result."""
        checkpoint = self.checkpoint_in(self.folder / self.final_folder(self.settings))
        return [f'python tools/test.py {checkpoint.parent / "config.py"} {checkpoint}']

    # ---- the run

    def run(self, resources: Resources) -> Path:
        """Do all steps that are left.

        Args:
            resources (Resources): Threads and GPU.

        Returns:
            Path: Final checkpoint of the last training.

        Raises:
            ValueError: If another process runs in the folder, or the folder is of a run with
                other settings.
            ChildFailed: If a training ends with an error.
            Stopped: If the program was told to stop.
        """
        self.read_data()  # before anything is written
        with locked(self.folder / '.lock', wait=False) as lock:
            if lock is None:
                raise ValueError(f'another process runs in {self.folder}')
            steps = list(self.steps())
            first = self._next(steps)
            if first == 0:
                self._check()
            for step in steps[first:]:
                self.save(step.position)
                step.run(Job(resources, lock))
            return self.checkpoint_in(self.folder / self.final_folder(self.settings))

    def _check(self) -> None:
        folder = self.folder / '.check'
        shutil.rmtree(folder, ignore_errors=True)  # of a check that was killed
        try:
            self.check(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _next(self, steps: Sequence[Step]) -> int:
        """Index of the step to do next."""
        if not self.file.is_file():
            return 0
        state = json.loads(self.file.read_text())
        of = {name: state.pop(name, None) for name in ('settings', 'config')}
        positions = [step.position for step in steps]
        if state == positions[0] and not any((self.folder / self.first_folder()).glob('*.pth')):
            return 0  # a start that failed, with any settings
        added = added_switches(self.cfg, self.settings, of)
        if added is None or state not in positions:
            raise ValueError(
                f'{self.folder} belongs to a run with another config or other '
                f'{KEY} settings: choose another --work-dir, or remove it'
            )
        return min(positions.index(found) for found in (state, *(dict(step=n) for n in added)))

    def holds_this_run(self) -> bool:
        """Whether a run of this config and these settings was begun in the folder."""
        if not self.file.is_file():
            return False
        state = json.loads(self.file.read_text())
        return added_switches(self.cfg, self.settings, state) is not None

    def save(self, position: Dict[str, Any]) -> None:
        """Record the step that is done next.

        Args:
            position (dict): Of the step.
        """
        state = dict(fingerprint(self.cfg, self.settings), **position)
        write_whole(self.file, json.dumps(state, indent=1) + '\n')

    # ---- what recipes use

    def training_config(self, folder: Path) -> Config:
        """Config of a training: that of the run, without the settings of self-training.

        Args:
            folder (Path): Of the training.
        """
        cfg = copy.deepcopy(self.cfg)
        cfg.pop(KEY, None)
        cfg.work_dir, cfg.resume, cfg.launcher = str(folder), False, 'none'
        names = (cfg.get('custom_imports') or {}).get('imports') or ['mmseg_ctt']
        names = [names] if isinstance(names, str) else list(names)
        cfg.custom_imports = dict(
            imports=list(dict.fromkeys([*names, PACKAGE])), allow_failed_imports=False
        )
        return cfg

    def train(self, cfg: Config, title: str, job: Job) -> None:
        """Train in a child process, from the last checkpoint where there is one.

        Args:
            cfg (Config): Of the training; its ``work_dir`` is the folder.
            title (str): Of the training, for the user.
            job (Job): Of the run.

        Raises:
            ChildFailed: If it ends with an error.
            Stopped: If the program was told to stop.
        """
        folder = Path(cfg.work_dir)
        folder.mkdir(parents=True, exist_ok=True)
        name, stamp = 'config.py', time.strftime(STAMP)
        if not any(folder.glob('*.pth')):
            (folder / name).unlink(missing_ok=True)  # of a start that failed
        config = record_config(cfg, folder, name, stamp)
        log = folder / 'run.log'
        self.report(f'{title}: trains; log: {log}')
        program = str(self.root / 'tools' / 'train.py')
        command = [sys.executable, program, str(config), '--work-dir', str(folder), '--resume']
        run_logged(command, log, job.resources, self.root, keep_open=[job.lock])

    @staticmethod
    def checkpoint_in(folder: Path) -> Path:
        """Final checkpoint of a training.

        Args:
            folder (Path): Of the training.

        Raises:
            ValueError: If it has none.
        """
        found = find_whole_checkpoint(str(folder))
        if found is None:
            raise ValueError(
                f'{folder} has no checkpoint: is default_hooks.'
                'checkpoint of the config switched off?'
            )
        return Path(found)
