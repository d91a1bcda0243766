# Copyright (c) mmseg_ctt contributors.
"""Next commands of a run, as they work in the terminal of the user."""

import os
import shlex
from pathlib import Path
from typing import Dict, List

from ...compat import config_folder
from ...engine.method_preset import read_preset
from .configs import SUPERVISED


def next_commands(configs: Dict[str, Path]) -> List[str]:
    """Commands that check and train a run, and compare it with its baseline.

    Args:
        configs (dict[str, Path]): Config files by method.
    """
    tools = config_folder().parent / 'tools'
    lines = [f'{_python(tools, "misc/check_setup.py")} {_quoted(configs[SUPERVISED])}']
    for method, path in sorted(configs.items(), key=lambda item: item[0] != SUPERVISED):
        rounds = 'self_training' in read_preset(method)
        script = 'self_train.py' if rounds else 'train.py'
        lines.append(f'{_python(tools, script)} {_quoted(path)}')
    folder = configs[SUPERVISED].parent
    runs = ' '.join(
        _quoted(folder / path.stem)
        for method, path in sorted(configs.items(), key=lambda item: item[0] != SUPERVISED)
    )
    report = _python(tools, 'analysis_tools/report.py')
    lines.append(f'{report} {runs} --out {_quoted(folder / "report.html")}')
    return lines


def _python(tools: Path, script: str) -> str:
    return f'python {_quoted(tools / script)}'


def _quoted(path: Path) -> str:
    """A path as short as it is from the working directory."""
    short = os.path.relpath(path)
    return shlex.quote(str(path) if short.startswith('..') else short)
