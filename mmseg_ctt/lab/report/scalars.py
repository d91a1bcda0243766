# Copyright (c) mmseg_ctt contributors.
"""Curves of a run, from the JSON lines that mmengine writes."""

import json
import math
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

FILE = 'scalars.json'


class Curve(NamedTuple):
    """Curve of a logged quantity.

    Attributes:
        steps (list[int]): Iterations, rising.
        values (list[float]): Value at each of them; may be NaN.
    """

    steps: List[int]
    values: List[float]

    @property
    def last(self) -> float:
        """Last value."""
        return self.values[-1]

    @property
    def best(self) -> float:
        """Largest value; NaN if all are."""
        return max((value for value in self.values if not math.isnan(value)), default=math.nan)


Points = Dict[str, Dict[int, float]]
Curves = Dict[str, Curve]


def read_curves(folders: Sequence[Path]) -> Tuple[Curves, int]:
    """Curves of a run by key, over all its starts.

    A resumed start replaces the values of earlier ones at its first iteration, and all later
    ones. A start whose first iteration is not later than that of the one before is a new run in
    the same folder; the older ones are dropped.

    Args:
        folders (Sequence[Path]): ``<timestamp>/vis_data`` of every start, the oldest first.

    Returns:
        tuple[dict[str, Curve], int]: Curves, and the number of damaged lines, such as the last
        one of a killed run.
    """
    merged: Points = {}
    damaged, begin = 0, math.inf
    for folder in folders:
        points, bad = _read_points(folder)
        damaged += bad
        if not points:
            continue
        first = min(min(values) for values in points.values())
        if first <= begin:
            merged, begin = {}, first
        # of all keys: scores that the new start has not come to are gone, too; at its first
        # iteration it may have one kind alone, such as a validation that was still to do
        for key in dict.fromkeys([*merged, *points]):
            kept = {step: value for step, value in merged.get(key, {}).items() if step <= first}
            merged[key] = {**kept, **points.get(key, {})}
        merged = {key: values for key, values in merged.items() if values}
    return {
        key: Curve(sorted(values), [values[step] for step in sorted(values)])
        for key, values in merged.items()
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
        skipped = ('iter',) if 'iter' in row else ('time', 'data_time')
        for key, value in row.items():
            if key not in skipped and isinstance(value, (int, float)):
                points.setdefault(key, {})[step] = without_noise(float(value))
    return points, damaged


def without_noise(value: float) -> float:
    """A float32 as the shortest decimal that stands for it: 31.03, not 31.030000686645508.

    Args:
        value (float): A number that is no float32 is returned as it is.
    """
    with np.errstate(over='ignore'):
        short = np.float32(value)
    return float(str(short)) if float(short) == value else value
