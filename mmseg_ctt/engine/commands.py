# Copyright (c) mmseg_ctt contributors.
"""Commands of the tools, as they work in the terminal of the user."""

import os
import shlex
from pathlib import Path
from typing import Optional, Sequence, Union

from mmengine.config import Config

from ..compat import config_folder
from .checkpoint import POINTER

BASELINE = 'supervised'  # work folder of the baseline of a folder


def tool_command(script: str, *arguments: Union[str, Path]) -> str:
    """Command of a script in ``tools``.

    Args:
        script (str): Path below ``tools``.
        *arguments (str | Path): Paths are shortened by :func:`short_path`, all are quoted.
    """
    words = [config_folder().parent / 'tools' / script, *arguments]
    return ' '.join(['python', *(shlex.quote(short_path(word)) for word in words)])


def short_path(path: Union[str, Path]) -> str:
    """A path as short as it is from the working directory; text stays as it is."""
    if isinstance(path, str):
        return path
    short = os.path.relpath(path)
    return str(path) if short.startswith('..') else short


def report_command(runs: Sequence[Path], out: Path) -> str:
    """Command that compares runs on a page, the baseline first.

    Args:
        runs (Sequence[Path]): Work folders.
        out (Path): The page.
    """
    return tool_command('analysis_tools/report.py', *runs, '--out', out)


def report_of(cfg: Config, work_dir: Union[str, Path]) -> Optional[str]:
    """Command that compares the run of a folder with its baseline, which has a checkpoint.

    Args:
        cfg (Config): Of the run, whose file lies beside its work folder, as ``new_run`` has them.
        work_dir (str | Path): Work folder.

    Returns:
        str | None: None for the baseline, before it is trained, without images for validation,
            whose scores the report compares, and for other runs.
    """
    folder = Path(work_dir).resolve()
    beside = cfg.filename and Path(cfg.filename).resolve().with_suffix('') == folder
    baseline = folder.with_name(BASELINE)
    scored = cfg.get('val_dataloader') and (baseline / POINTER).is_file()
    if not beside or folder == baseline or not scored:
        return None
    return report_command([baseline, folder], folder.with_name('report.html'))
