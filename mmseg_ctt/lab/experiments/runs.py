# Copyright (c) mmseg_ctt contributors.
"""One cell of a matrix: train, or go on training, evaluate, and write its rows."""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ...engine.files import locked, write_whole
from ...engine.fingerprint import config_hash
from ...engine.processes import ChildFailed, Slot, run_logged
from ...self_training.settings import KEY as SELF_TRAINING
from ...self_training.settings import Settings
from .fingerprint import git_commit, resolve, split_checksum, versions
from .matrix import Cell
from .results import Run, make_rows, missing_sets, put_rows, read_rows, run_of

SAVE_EVERY = 10  # seconds between two records of the time spent
GENERATIONS = 'generations'  # folder of a self-training


@dataclass
class Place:
    """Where runs happen and results go.

    Attributes:
        root (Path): Of the repository.
        work_dir (Path): Folder of the runs.
        out (Path): CSV of the results.
        eval_sets (tuple[str, ...]): What every run is evaluated on.
        changes (dict): Config changes of every run on this machine.
    """

    root: Path
    work_dir: Path
    out: Path
    eval_sets: Tuple[str, ...]
    changes: Dict[str, Any] = field(default_factory=dict)


class CellRun:
    """A cell with its resolved config, its folder and what is known of its past.

    The folder carries the config's hash, so that a changed config never goes on from a
    checkpoint of the old one.

    Args:
        cell (Cell): The run.
        place (Place): Where it happens.

    Raises:
        FileNotFoundError: If its config does not exist.
    """

    def __init__(self, cell: Cell, place: Place) -> None:
        self.cell, self.place = cell, place
        self.cfg = resolve(cell, place.changes)
        self.hash = config_hash(self.cfg)
        self.folder = (
            place.work_dir / cell.method / cell.split / f'seed{cell.seed}-{self.hash}'
        ).resolve()
        self.log, self.record = self.folder / 'run.log', self.folder / 'record.json'

    # ---- the past

    @property
    def key(self) -> Run:
        """What its rows are found by."""
        return run_of(vars(self.cell))

    def missing(self) -> List[str]:
        """Evaluation sets that still lack their rows."""
        return missing_sets(read_rows(self.place.out), self.cell, self.hash, self.place.eval_sets)

    def past(self) -> Dict[str, Any]:
        """Seconds spent, commits, versions, checksum, whether training has ended."""
        if self.record.is_file():
            return json.loads(self.record.read_text())
        return dict(seconds=0.0, commits=[], trained=False)

    def checkpoint(self) -> Optional[str]:
        """The latest checkpoint that still exists."""
        pointer = self.training_folder / 'last_checkpoint'
        path = pointer.read_text().strip() if pointer.is_file() else ''
        return path if path and Path(path).is_file() else None

    @property
    def training_folder(self) -> Path:
        """Where the training that counts writes: for self-training, its last generation."""
        if SELF_TRAINING not in self.cfg:
            return self.folder
        last = Settings.of(self.cfg[SELF_TRAINING]).generations - 1
        return self.folder / GENERATIONS / f'gen{last}'

    def state(self) -> str:
        """In words: done, trained, interrupted or new."""
        if not self.missing():
            return 'done'
        if not self.folder.is_dir():
            return 'new'
        with locked(self.folder / '.lock', wait=False) as lock:
            if lock is None:
                return 'running'
        checkpoint = self.checkpoint()
        if checkpoint is None:
            return 'new'
        return 'trained' if self.past()['trained'] else f'interrupted after {Path(checkpoint).stem}'

    # ---- the work

    def run(self, slot: Slot) -> str:
        """Do what is missing.

        Returns:
            str: 'done', or 'running' if another process is at it.

        Raises:
            ChildFailed: If training or evaluation ends with an error.
            Stopped: If the program was asked to end.
            ValueError, FileNotFoundError: If data or results file do not fit.
        """
        with locked(self.folder / '.lock', wait=False) as lock:
            if lock is None:
                return 'running'
            sets = self.missing()  # another process may have been faster
            if sets:
                if not self.past()['trained'] or self.checkpoint() is None:
                    self._train(slot, lock)
                self._evaluate(slot, lock, sets)
        return 'done'

    def _train(self, slot: Slot, lock: int) -> None:
        past = self.past()
        past['split_checksum'] = self._same_lists(past)
        past['versions'] = versions()
        past['commits'] = list(dict.fromkeys([*past['commits'], git_commit(self.place.root)]))
        self.cfg.dump(self.folder / 'config.py')
        begin, before, saved = time.monotonic(), past['seconds'], 0.0

        def save(end: bool = False) -> None:
            nonlocal saved
            past['seconds'] = before + time.monotonic() - begin
            if end or past['seconds'] - saved > SAVE_EVERY:
                saved = past['seconds']
                write_whole(self.record, json.dumps(past))

        save(end=True)
        try:
            run_logged(self.train_command(), self.log, slot, self.place.root, save, [lock])
            past['trained'] = True
        finally:
            save(end=True)

    def _same_lists(self, past: Dict[str, Any]) -> str:
        """Checksum of the lists of images, which are no part of the config's hash."""
        now = split_checksum(self.cfg)
        if past.get('split_checksum', now) != now:
            raise ValueError(
                f'{self.cell}: the lists of its split have changed since it began; '
                f'restore them, or remove {self.folder} to train on the new ones'
            )
        return now

    def train_command(self) -> List[str]:
        """What trains the cell, from the beginning or from its last checkpoint."""
        tools, config = self.place.root / 'tools', str(self.folder / 'config.py')
        if SELF_TRAINING in self.cfg:  # it goes on by itself
            return [
                sys.executable,
                str(tools / 'self_train.py'),
                config,
                '--work-dir',
                str(self.folder / GENERATIONS),
            ]
        return [
            sys.executable,
            str(tools / 'train.py'),
            config,
            '--work-dir',
            str(self.folder),
            '--resume',
        ]

    def _evaluate(self, slot: Slot, lock: int, sets: Sequence[str]) -> None:
        checkpoint, out = self.checkpoint(), self.folder / 'scores.json'
        if checkpoint is None:
            raise ChildFailed(f'training left no checkpoint in {self.folder}')
        self.cfg.dump(self.folder / 'config.py')
        run_logged(
            [
                sys.executable,
                '-m',
                'mmseg_ctt.lab.experiments.evaluate',
                str(self.folder / 'config.py'),
                checkpoint,
                '--eval-sets',
                *sets,
                '--out',
                str(out),
            ],
            self.log,
            slot,
            self.place.root,
            keep_open=[lock],
        )
        result, past = json.loads(out.read_text()), self.past()
        facts = dict(
            result['facts'],
            **past.get('versions', {}),
            config_hash=self.hash,
            split_checksum=past['split_checksum'],
            git_commit='+'.join(past['commits']),
            seconds=round(past['seconds']),
        )
        for name in sets:
            put_rows(self.place.out, make_rows(self.cell, name, result['scores'][name], facts))

    def last_lines(self, count: int = 8) -> str:
        """The end of the log."""
        lines = self.log.read_text(errors='replace').splitlines() if self.log.is_file() else []
        return '\n'.join(lines[-count:])
