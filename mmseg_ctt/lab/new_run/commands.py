# Copyright (c) mmseg_ctt contributors.
"""Next commands of a run, as they work in the terminal of the user."""

from pathlib import Path
from typing import Dict, List

from ...engine.commands import report_command, tool_command
from ...engine.method_preset import read_preset
from .configs import SUPERVISED


def next_commands(configs: Dict[str, Path], scored: bool = True) -> List[str]:
    """Commands that check and train a run, and compare it with its baseline.

    Args:
        configs (dict[str, Path]): Config files by method.
        scored (bool): Whether there are images for validation, without which the report has no
            scores to compare. Defaults to True.
    """
    lines = [tool_command('misc/check_setup.py', configs[SUPERVISED])]
    ordered = sorted(configs.items(), key=lambda item: item[0] != SUPERVISED)
    for method, path in ordered:
        rounds = 'self_training' in read_preset(method)
        lines.append(tool_command('self_train.py' if rounds else 'train.py', path))
    if not scored:
        return lines
    folder = configs[SUPERVISED].parent
    runs = [folder / path.stem for _, path in ordered]
    return [*lines, report_command(runs, folder / 'report.html')]
