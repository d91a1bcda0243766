# Copyright (c) mmseg_ctt contributors.
"""Run of one cell of a matrix: train or resume, evaluate, write its rows."""

import json
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ...engine.files import locked, write_whole
from ...engine.fingerprint import config_hash
from ...engine.processes import ChildFailed, Resources, run_logged
from ...engine.recorded_config import STAMP, record_config
from ...engine.resume import last_checkpoint
from ...self_training.recipes import final_folder
from ...self_training.round_settings import KEY as SELF_TRAINING
from .baseline_cells import BASELINE, names_baseline, with_folder
from .fingerprint import git_commit, resolve, split_checksum, versions
from .matrix import Cell
from .results import Run, make_rows, missing_sets, put_rows, read_rows, run_of

SAVE_INTERVAL = 10  # seconds between two updates of record.json
GENERATIONS = 'generations'  # folder of a self-training


@dataclass
class Workspace:
    """Folders, results and options that all runs of a matrix have in common.

    Attributes:
        root (Path): Root of the repository.
        work_dir (Path): Folder of the runs.
        out (Path): CSV of the results.
        eval_sets (tuple[str, ...]): Evaluation sets of every run.
        changes (dict): Config changes of every run on this machine.
        per_class (bool): Whether rows have the IoU of each class.

    Raises:
        ValueError: If a change names the baseline, which is another run for each cell.
    """

    root: Path
    work_dir: Path
    out: Path
    eval_sets: Tuple[str, ...]
    changes: Dict[str, Any] = field(default_factory=dict)
    per_class: bool = True

    def __post_init__(self) -> None:
        if names_baseline(self.changes):
            raise ValueError(
                f'--cfg-options has {BASELINE}, which only the matrix file can: write that option '
                'into cfg_options of its methods there'
            )


class CellRun:
    """Run of a cell: its complete config, its folder and the record of earlier starts.

    The name of the folder has the hash of the config, so that a changed config is never resumed
    from a checkpoint of the old one.

    Args:
        cell (Cell): The cell.
        workspace (Workspace): Folders and options.

    Raises:
        FileNotFoundError: If its config does not exist.
    """

    def __init__(self, cell: Cell, workspace: Workspace) -> None:
        self.cell, self.workspace = cell, workspace
        self.baseline: Optional[CellRun] = None
        if cell.baseline is not None:  # the name of its folder, with its hash, is in this hash
            self.baseline = CellRun(cell.baseline, workspace)
            cell = replace(cell, options=with_folder(cell.options, self.baseline.folder))
        self.cfg = resolve(cell, workspace.changes)
        self.hash = config_hash(self.cfg)
        self.folder: Path = (
            workspace.work_dir / cell.method / cell.split / f'seed{cell.seed}-{self.hash}'
        ).resolve()
        self.log, self.record = self.folder / 'run.log', self.folder / 'record.json'
        self.config = self.folder / 'config.py'

    @property
    def key(self) -> Run:
        """Method, split and seed, the key of its rows."""
        return run_of(vars(self.cell))

    def missing(self) -> List[str]:
        """Evaluation sets without rows."""
        rows = read_rows(self.workspace.out)
        return missing_sets(rows, self.cell, self.hash, self.workspace.eval_sets)

    def read_record(self) -> Dict[str, Any]:
        """Record of earlier starts: seconds, commits, versions, checksum, whether trained."""
        if self.record.is_file():
            return json.loads(self.record.read_text())
        return dict(seconds=0.0, commits=[], trained=False)

    def checkpoint(self) -> Optional[str]:
        """Latest checkpoint; None if it does not exist."""
        path = last_checkpoint(str(self.training_folder))
        return path if path and Path(path).is_file() else None

    @property
    def training_folder(self) -> Path:
        """Folder of the training that is evaluated; of self-training the last one."""
        if SELF_TRAINING not in self.cfg:
            return self.folder
        return self.folder / GENERATIONS / final_folder(self.cfg)

    def state(self) -> str:
        """State in words: done, waiting, running, new, trained or interrupted."""
        if not self.missing():
            return 'done'
        if self.waits():
            return f'waiting for the rows of {self.cell.baseline}'
        if not self.folder.is_dir():
            return 'new'
        with locked(self.folder / '.lock', wait=False) as lock:
            if lock is None:
                return 'running'
        checkpoint = self.checkpoint()
        if checkpoint is None:
            return 'new'
        return (
            'trained'
            if self.read_record()['trained']
            else f'interrupted after {Path(checkpoint).stem}'
        )

    def waits(self) -> bool:
        """Whether the baseline that its options name lacks rows."""
        return self.baseline is not None and bool(self.baseline.missing())

    def run(self, resources: Resources) -> str:
        """Train and evaluate as far as rows are missing.

        Args:
            resources (Resources): Threads and GPU.

        Returns:
            str: 'done', 'running' if another process runs it, or that it waits for its baseline.

        Raises:
            ChildFailed: If training or evaluation ends with an error.
            Stopped: If the program was told to stop.
            ValueError: If the lists of images have changed, or the file of results is of other
                classes.
            FileNotFoundError: If data is missing.
        """
        if self.waits():
            return self.state()
        with locked(self.folder / '.lock', wait=False) as lock:
            if lock is None:
                return 'running'
            # Another process may have written rows before the lock. Rows of a new training replace
            # all others of the run, so that sets which were measured may be missing behind it.
            while sets := self.missing():
                if not self.read_record()['trained'] or self.checkpoint() is None:
                    self._train(resources, lock)
                self._evaluate(resources, lock, sets)
        return 'done'

    def _train(self, resources: Resources, lock: int) -> None:
        record = self.read_record()
        record['split_checksum'] = self._check_lists(record)
        record['versions'] = versions()
        commit = git_commit(self.workspace.root)
        record['commits'] = list(dict.fromkeys([*record['commits'], commit]))
        self._record_config()
        begin, before, saved = time.monotonic(), record['seconds'], 0.0

        def save(end: bool = False) -> None:
            nonlocal saved
            record['seconds'] = before + time.monotonic() - begin
            if end or record['seconds'] - saved > SAVE_INTERVAL:
                saved = record['seconds']
                write_whole(self.record, json.dumps(record))

        save(end=True)
        try:
            command, root = self.train_command(), self.workspace.root
            run_logged(command, self.log, resources, root, save, [lock])
            record['trained'] = True
        finally:
            save(end=True)

    def _check_lists(self, record: Dict[str, Any]) -> str:
        """Checksum of the lists of images, which the hash of the config does not cover."""
        checksum = split_checksum(self.cfg)
        if record.get('split_checksum', checksum) != checksum:
            raise ValueError(
                f'{self.cell}: the lists of its split have changed since it began; '
                f'restore them, or remove {self.folder} to train on the new ones'
            )
        return checksum

    def train_command(self) -> List[str]:
        """Command that trains the cell, from the beginning or from its last checkpoint."""
        tools, config = self.workspace.root / 'tools', str(self.config)
        if SELF_TRAINING in self.cfg:  # resumes by itself
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

    def _record_config(self) -> None:
        """Record the config; one that differs in settings of the machine gets a file beside it."""
        self.config = record_config(self.cfg, self.folder, 'config.py', time.strftime(STAMP))

    def _evaluate(self, resources: Resources, lock: int, sets: Sequence[str]) -> None:
        checkpoint, out = self.checkpoint(), self.folder / 'scores.json'
        if checkpoint is None:
            raise ChildFailed(f'training left no checkpoint in {self.folder}')
        self._record_config()
        run_logged(
            [
                sys.executable,
                '-m',
                'mmseg_ctt.lab.experiments.evaluate',
                str(self.config),
                checkpoint,
                '--eval-sets',
                *sets,
                '--out',
                str(out),
            ],
            self.log,
            resources,
            self.workspace.root,
            keep_open=[lock],
        )
        result, record = json.loads(out.read_text()), self.read_record()
        facts = dict(
            result['facts'],
            **record.get('versions', {}),
            config_hash=self.hash,
            split_checksum=record['split_checksum'],
            git_commit='+'.join(record['commits']),
            seconds=round(record['seconds']),
        )
        for name in sets:
            rows = make_rows(
                self.cell, name, result['scores'][name], facts, self.workspace.per_class
            )
            put_rows(self.workspace.out, rows)

    def last_lines(self, count: int = 8) -> str:
        """Last lines of the log."""
        lines = self.log.read_text(errors='replace').splitlines() if self.log.is_file() else []
        return '\n'.join(lines[-count:])
