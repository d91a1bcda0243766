# Copyright (c) mmseg_ctt contributors.
"""Benchmarks of the steps of several configs: results in files, failures as reasons."""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from ...engine.processes import Resources, Stopped, stopped_by_signals
from .suite.limits import run_limited

RESULT = 'benchmark.json'
STOPPED = 'the run was stopped'
NO_TIME = 'the time of all methods together was over'


class Limits(NamedTuple):
    """Limits of the benchmarks of several configs.

    Attributes:
        config (float): Seconds for a config, the start of its process included.
        total (float): Seconds for all; what has not begun by then is not measured.
        per_process (int): Configs that share a process. On a CPU, where the memory of a process
            is measured, it is 1; on a GPU a shared process saves the time of its start.
    """

    config: float
    total: float
    per_process: int = 1

    def check(self) -> None:
        """Raise a ValueError if nothing could be measured."""
        if min(self) <= 0:
            raise ValueError('--limit, --total and --per-process must be positive')


def result_file(folder: Path, config: str) -> Path:
    """File of the result of a config in the folder of all results."""
    return folder / Path(config).stem / RESULT


def check_names(configs: Sequence[str]) -> None:
    """Raise a ValueError where the results of two configs would go to the same file."""
    stems = [Path(config).stem for config in configs]
    if len(set(stems)) < len(stems):
        raise ValueError('two configs have the same name, so that one would replace the other')


def measure_each(
    configs: Sequence[str], folder: Path, command: Sequence[str], limits: Limits, threads: int
) -> Tuple[List[Dict[str, Any]], Dict[str, str]]:
    """Measure configs in other processes; a config whose file is there is not measured again.

    A config that fails or takes too long ends its process; the others go on in the next.

    Args:
        configs (Sequence[str]): Config files.
        folder (Path): Of the results, see :func:`result_file`, and of the logs.
        command (Sequence[str]): Measures the configs that are put behind it, in their order.
        limits (Limits): Of time, and configs to a process.
        threads (int): Of each process.

    Returns:
        tuple: Results of :func:`mmseg_ctt.lab.benchmark.step.benchmark_step`, and by name of
        config why there is none.
    """
    resources = Resources(threads)
    reasons: Dict[str, str] = {}
    with stopped_by_signals(resources.stop):
        try:
            _measure_missing(configs, folder, command, limits, resources, reasons)
        except Stopped:
            reasons.update({Path(config).stem: STOPPED for config in configs})
    files = [result_file(folder, config) for config in configs]
    done = [file for file in files if file.is_file()]
    for file in done:
        reasons.pop(file.parent.name, None)
    return [json.loads(file.read_text()) for file in done], reasons


def _measure_missing(
    configs: Sequence[str],
    folder: Path,
    command: Sequence[str],
    limits: Limits,
    resources: Resources,
    reasons: Dict[str, str],
) -> None:
    """Run processes until every config has a result or a reason."""
    end = time.monotonic() + limits.total
    while True:
        missing = [
            config
            for config in configs
            if not result_file(folder, config).is_file() and Path(config).stem not in reasons
        ]
        if not missing:
            break
        group = missing[: limits.per_process]
        left = end - time.monotonic()
        if left <= 0:
            reasons.update({Path(config).stem: NO_TIME for config in missing})
            break
        files = [result_file(folder, config) for config in group]
        reason = run_limited(
            [*command, *group],
            files[0].with_name('log.txt'),
            resources,
            min(limits.config, left),
            partial(_number_of, files),
        )
        if _number_of(files) < len(files):
            stopped = next(file for file in files if not file.is_file()).parent.name
            reasons[stopped] = reason or 'it wrote no result'
            print(f'{stopped}: not measured: {reasons[stopped]}', file=sys.stderr)


def _number_of(files: Sequence[Path]) -> int:
    return sum(file.is_file() for file in files)
