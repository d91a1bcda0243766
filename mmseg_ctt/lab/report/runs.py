# Copyright (c) mmseg_ctt contributors.
"""Runs, read from their work folders."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from mmengine.config import Config
from mmseg.registry import MODELS

from ...deploy.checkpoint import read_checkpoint
from ...engine.resume import last_checkpoint
from ...methods.networks import MemberNetworks
from .colours import MEMBER, PLAIN_MODEL, member_styles
from .scalars import FILE, Curve, read_curves

CHECKPOINTS = ('last', 'best')
ENVIRONMENT = re.compile(r'\nSystem environment:\n(.*?)\n-{20}', re.DOTALL)


@dataclass(frozen=True)
class Run:
    """Training, read from its work folder.

    Attributes:
        name (str): Short name, distinct from that of the other runs.
        folder (Path): The work folder.
        curves (dict[str, Curve]): Scalars by mmengine's key, such as ``student0/mIoU``.
        config (Config | None): Recorded config of the newest start that wrote scalars; None
            without one.
        recorded (list[Path]): All recorded configs, that one first.
        environment (dict[str, str]): Environment from the newest log; empty without one.
        checkpoint (Path | None): Checkpoint of the networks; None without one.
        damaged (int): Number of lines of the scalars that could not be read.
    """

    name: str
    folder: Path
    curves: Dict[str, Curve] = field(default_factory=dict)
    config: Optional[Config] = None
    recorded: List[Path] = field(default_factory=list)
    environment: Dict[str, str] = field(default_factory=dict)
    checkpoint: Optional[Path] = None
    damaged: int = 0

    @property
    def members(self) -> List[str]:
        """Students, teachers, ensemble; for a plain segmentor only ``model``."""
        heads = {re.split(r'[./]', key)[0] for key in self.curves}
        return list(member_styles([head for head in heads if MEMBER.match(head)])) or [PLAIN_MODEL]

    def score(self, member: str, metric: str = 'mIoU') -> Optional[Curve]:
        """Validation curve of a member."""
        return self.curves.get(metric if member == PLAIN_MODEL else f'{member}/{metric}')

    @property
    def predicting(self) -> str:
        """Member that predicts by default; known before the first validation, too."""
        model = (self.config or {}).get('model') or {}
        configured = (model.get('test_cfg') or {}).get('predict_on')
        kind = MODELS.get(model['type']) if 'type' in model else None  # without a config
        if configured is None and kind is not None and issubclass(kind, MemberNetworks):
            configured = kind.default_predict_on(model)
        return configured or self.members[0]


def read_runs(folders: Sequence[Path], checkpoint: str = 'last') -> List[Run]:
    """Read work folders.

    Args:
        folders (Sequence[Path]): Work folders, the ``--work-dir`` of each training.
        checkpoint (str): ``'last'`` or ``'best'``. Defaults to 'last'.

    Raises:
        FileNotFoundError: If a folder does not exist or is not of a run.
        ValueError: If a folder is given twice.
    """
    folders = [Path(folder) for folder in folders]
    for i, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:i]]:
            raise ValueError(f'{folder} is given twice')
    return [
        _read_run(folder, name, checkpoint) for folder, name in zip(folders, _short_names(folders))
    ]


def _read_run(folder: Path, name: str, checkpoint: str) -> Run:
    if not folder.is_dir():
        raise FileNotFoundError(f'the work folder {folder} does not exist')
    parts = sorted(path.parent for path in folder.glob(f'*/vis_data/{FILE}'))
    curves, damaged = read_curves(parts)
    recorded = _recorded_configs(folder, parts)
    run = Run(
        name=name,
        folder=folder,
        curves=curves,
        config=Config.fromfile(recorded[0]) if recorded else None,
        recorded=recorded,
        environment=_read_environment(folder),
        damaged=damaged,
        checkpoint=_best(folder) if checkpoint == 'best' else _last(folder),
    )
    if not (run.curves or run.config or run.checkpoint):
        raise FileNotFoundError(
            f'{folder} holds no run: no */vis_data/{FILE}, no config, no '
            'checkpoint; give the --work-dir of a training'
        )
    inner = _run_of_configs(run)
    if inner is not None:
        raise FileNotFoundError(
            f'{folder} holds configs and no run: give the work folder of one, such as {inner}'
        )
    return run


def _run_of_configs(run: Run) -> Optional[Path]:
    """Work folder of a config in a folder of configs, as ``new_run`` has them; None in a run."""
    if run.curves or run.checkpoint or run.config is None:
        return None
    for path in run.recorded:
        work_dir = Config.fromfile(path).get('work_dir')
        if work_dir and Path(work_dir).resolve().parent == run.folder.resolve():
            return run.folder / Path(work_dir).name
        if path.with_suffix('').is_dir():
            return path.with_suffix('')
    return None


def _short_names(folders: Sequence[Path]) -> List[str]:
    """Shortest ends of the paths that are distinct."""
    paths = [folder.resolve() for folder in folders]
    longest = max((len(path.parts) for path in paths), default=1)
    for depth in range(1, longest + 1):
        names = ['/'.join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _recorded_configs(folder: Path, parts: Sequence[Path]) -> List[Path]:
    """Configs of the starts that wrote scalars, then those in the folder, newest first."""
    candidates = [part / 'config.py' for part in reversed(parts)]
    candidates += sorted(folder.glob('*.py'), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path for path in candidates if path.is_file()]


def config_of_checkpoint(run: Run) -> Config:
    """Config that the checkpoint of a run was trained with.

    A folder holds several where runs of other settings were started in it. The checkpoint names its
    own, and the recorded one with that model is taken, whose paths a user may have corrected.

    Args:
        run (Run): With a config and a checkpoint.
    """
    assert run.config is not None and run.checkpoint is not None
    text = read_checkpoint(run.checkpoint)['meta'].get('cfg')
    if not isinstance(text, str):
        return run.config
    own = Config.fromstring(text, '.py')
    for path in run.recorded:
        config = Config.fromfile(path)
        if config.get('model') == own.get('model'):
            return config
    return own


def _read_environment(folder: Path) -> Dict[str, str]:
    """Environment that mmengine logs when a run starts, lines of ``name: value``."""
    logs = sorted(folder.glob('*/*.log'))
    if not logs:
        return {}
    environment: Dict[str, str] = {}
    for block in ENVIRONMENT.findall(logs[-1].read_text(encoding='utf-8', errors='replace')):
        for line in block.splitlines():
            name, colon, value = line.partition(': ')
            if colon and name.startswith('    ') and 'compiling' not in name:
                environment[name.strip()] = value
    return environment


def _last(folder: Path) -> Optional[Path]:
    """Checkpoint that ``last_checkpoint`` names, also in a moved folder; else the newest one."""
    named = last_checkpoint(str(folder))
    if named is not None and Path(named).is_file():
        return Path(named)
    numbered = {
        int(match[1]): path
        for path in folder.glob('*.pth')
        if (match := re.fullmatch(r'(?:iter|epoch)_(\d+)', path.stem))
    }
    return numbered[max(numbered)] if numbered else None


def _best(folder: Path) -> Optional[Path]:
    found = sorted(folder.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None
