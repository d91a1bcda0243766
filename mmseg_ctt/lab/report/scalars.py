# Copyright (c) mmseg_ctt contributors.
"""Curves of a run, from the JSON lines that mmengine writes."""

import json
import math
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

FILE = 'scalars.json'


class Curve(NamedTuple):
    """Values at rising iterations.

    Attributes:
        steps (list[int]): Iterations.
        values (list[float]): One each; NaN where the run wrote it.
    """

    steps: List[int]
    values: List[float]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1]

    @property
    def best(self) -> float:
        """The largest value; NaN where all are."""
        return max((value for value in self.values if not math.isnan(value)), default=math.nan)


Points = Dict[str, Dict[int, float]]
Curves = Dict[str, Curve]


def read_curves(folders: Sequence[Path]) -> Tuple[Curves, int]:
    """Curves by key of a run that was perhaps interrupted.

    A later part replaces what an earlier one wrote from its first iteration on. A part that begins
    as early as the one before it is another run in the same folder, and only that counts.

    Args:
        folders (Sequence[Path]): ``<timestamp>/vis_data`` of every start, the oldest first.

    Returns:
        tuple[dict[str, Curve], int]: Curves, and the number of lines that are no JSON, such as
        the last one of a killed run.
    """
    merged: Points = {}
    damaged, begin = 0, math.inf
    for folder in folders:
        points, bad = _read_points(folder)
        damaged += bad
        if not points:
            continue
        first = min(min(one) for one in points.values())
        if first <= begin:
            merged, begin = {}, first
        for key, one in points.items():
            kept = {step: value for step, value in merged.get(key, {}).items() if step < min(one)}
            merged[key] = {**kept, **one}
    return {
        key: Curve(sorted(one), [one[step] for step in sorted(one)]) for key, one in merged.items()
    }, damaged


def _read_points(folder: Path) -> Tuple[Points, int]:
    points: Points = {}
    damaged = 0
    for line in (folder / FILE).read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            row = json.loads(line)
            step = int(row.pop('step'))
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged += bool(line.strip())
            continue
        # a validation writes its own `time` at the step of the training's
        passed = ('iter',) if 'iter' in row else ('time', 'data_time')
        for key, value in row.items():
            if key not in passed and isinstance(value, (int, float)):
                points.setdefault(key, {})[step] = float(value)
    return points, damaged
