# Copyright (c) mmseg_ctt contributors.
"""The config that a run records in its work folder; another start never overwrites it."""

import copy
import re
from pathlib import Path
from typing import List, Optional, Union

from mmengine.config import Config

from .config import prepare_config
from .files import write_whole

# Settings of a start that are not settings of the run.
OF_A_START = ('work_dir', 'resume', 'launcher', 'experiment_name', 'model_wrapper_cfg')
STAMP = '%Y%m%d_%H%M%S'  # of mmengine


def record_config(cfg: Config, folder: Union[str, Path], name: str, stamp: str) -> Path:
    """Write a config into a work folder, unless an equal one is there, of whatever start.

    Args:
        cfg (Config): Of this start.
        folder (str | Path): Work folder.
        name (str): File name, ``<name>.py``.
        stamp (str): Time of the start, in the form :data:`STAMP`. A config that differs from the
            recorded one is written beside it, as ``<name>_<stamp>.py``.

    Returns:
        Path: The file with this config: a recorded one where that is equal but for
        :data:`OF_A_START` and the checkpoint that is resumed.
    """
    first = Path(folder, name)
    present = [path for path in [first, *_later(first)] if path.exists()]
    for path in present:
        if same_run(read_recorded(path), cfg):
            return path
    ends = ['', f'_{stamp}', *(f'_{stamp}_{number}' for number in range(2, 100))]
    for path in (first.with_name(f'{first.stem}{end}{first.suffix}') for end in ends):
        if not path.exists():
            write_whole(path, cfg.dump() or '')
            return path
    raise ValueError(f'{folder} holds too many configs of the time {stamp}')


def check_work_dir(cfg: Config) -> None:
    """Check that a start which does not resume replaces no checkpoints of another run.

    Args:
        cfg (Config): Of this start, with its ``work_dir``.

    Raises:
        ValueError: If the folder has checkpoints, and none of its recorded configs is this one.
    """
    folder = Path(cfg.work_dir)
    checkpoints = sorted(folder.glob('*.pth'))
    recorded = sorted(folder.glob('*.py'))
    if not checkpoints or not recorded or cfg.get('resume'):
        return
    if not any(same_run(read_recorded(path), cfg) for path in recorded):
        raise ValueError(
            f'{folder} holds checkpoints of another run, such as {checkpoints[-1].name}, which '
            'this one would replace: give it a folder of its own (--work-dir, in Python work_dir), '
            'go on with the run there (--resume, resume=True), or remove the folder. In Python, '
            f'TrainingRun({str(folder)!r}) opens the run that is there'
        )


def _later(first: Path) -> List[Path]:
    """Configs that were recorded beside the first one, in the order of their starts."""
    form = re.compile(re.escape(first.stem) + r'_\d{8}_\d{6}(_\d+)?' + re.escape(first.suffix))
    return sorted(path for path in first.parent.glob('*') if form.fullmatch(path.name))


def read_recorded(path: Path) -> Optional[Config]:
    """A recorded config, prepared as for a run; None where it cannot be read."""
    try:
        return prepare_config(Config.fromfile(str(path), import_custom_modules=False))
    except Exception:  # a damaged file, or one of another kind: any type of error
        return None


def same_run(recorded: Optional[Config], cfg: Config) -> bool:
    """Whether two configs are of one run, which may have been started and then resumed."""
    if recorded is None:
        return False
    cfg = prepare_config(copy.deepcopy(cfg))
    of_a_start = [*OF_A_START, 'load_from'] if cfg.get('resume') else OF_A_START
    first, second = (
        {key: value for key, value in config.to_dict().items() if key not in of_a_start}
        for config in (recorded, cfg)
    )
    return first == second or recorded.pretty_text == cfg.pretty_text
