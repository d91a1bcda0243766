# Copyright (c) mmseg_ctt contributors.
"""Figures of methods for the made tables: measured ones, and published ones of the metafiles."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple

if TYPE_CHECKING:
    from mmseg_ctt.lab.experiments.league import League
    from mmseg_ctt.lab.experiments.matrix import Matrix

LEAGUE = 'configs/matrices/league.yaml'
LONGER = 'configs/matrices/league_longer.yaml'
COSTS = 'docs/step_costs.json'
BASELINE = 'supervised'  # folder of configs of labels alone
QUESTION = 'camvid_0006R0'  # of the league; in the table of README.md
ENTRY = re.compile(r'(?P<data>.+?) (?P<part>\d+|1/\d+), (?P<network>[^:]+): (?P<value>[\d.]+)')


def measured(root: Path) -> Dict[str, float]:
    """Test mIoU on one question of the league, by method; those without are left out."""
    league = read_league(root)
    scores = {method: league.score(method, QUESTION, 'test').mean for method in league.methods}
    return {method: score for method, score in scores.items() if not math.isnan(score)}


def read_league(root: Path, path: str = LEAGUE) -> 'League':
    """The league, or longer runs of it, with the rows of its CSV; none if there is no such file."""
    matrix = matrix_with_members(root, path)
    from mmseg_ctt.lab.experiments.league import League
    from mmseg_ctt.lab.experiments.results import read_rows, rows_of

    return League(matrix, rows_of(read_rows(root / matrix.out), matrix.cells))


def matrix_with_members(root: Path, path: str) -> 'Matrix':
    """A matrix; each method is represented by the member that its config predicts with."""
    import mmseg_ctt  # noqa: F401, I001, before anything imports mmseg
    from mmseg_ctt.lab.experiments.fingerprint import default_members
    from mmseg_ctt.lab.experiments.matrix import read_matrix

    matrix = read_matrix(root / path)
    first = {cell.method: cell for cell in reversed(matrix.cells)}
    cells = [replace(cell, config=str((root / cell.config).resolve())) for cell in first.values()]
    return replace(matrix, members=default_members(replace(matrix, cells=cells)))


def step_costs(root: Path, quantity: str = 'step') -> Dict[str, float]:
    """A quantity of a step over that of the supervised baseline, by folder of configs.

    Args:
        root (Path): Root of the repository.
        quantity (str): ``step``, processor time, or ``memory``, the peak. Defaults to ``step``.
    """
    values = _step_values(root, quantity)
    return {folder: value / values[BASELINE] for folder, value in values.items()}


def step_base(root: Path) -> Dict[str, float]:
    """What 1.0 is in :func:`step_costs`: ``step``, seconds, and ``memory``, MiB; empty without."""
    found = {name: _step_values(root, name).get(BASELINE) for name in ('step', 'memory')}
    return {name: value for name, value in found.items() if value is not None}


def _step_values(root: Path, quantity: str) -> Dict[str, float]:
    """A quantity of a step by folder of configs."""
    path = root / COSTS
    rows = json.loads(path.read_text()) if path.is_file() else []
    by_config = {row['name']: row[quantity] for row in rows}
    paths = {name: next(root.glob(f'configs/*/{name}.py'), None) for name in by_config}
    return {path.parent.name: by_config[name] for name, path in paths.items() if path}


class Published(NamedTuple):
    """Published mIoU of a method with one network on one data set.

    Attributes:
        method (str): Name of the collection.
        config (str): Its folder of configs.
        data (str): Data set, such as VOC.
        network (str): Backbone, such as ResNet-101.
        values (dict[str, str]): Figures as written, by labels: their number or ratio.
    """

    method: str
    config: str
    data: str
    network: str
    values: Dict[str, str]


def metadata(path: Path) -> Dict[str, Any]:
    """Name and metadata of the collection of a metafile."""
    import yaml

    collection = (yaml.safe_load(path.read_text()) or {}).get('Collections', [{}])[0]
    return {'Name': collection.get('Name'), **collection.get('Metadata', {})}


def published(root: Path) -> List[Published]:
    """Published figures of all metafiles.

    Raises:
        ValueError: For an entry of another form.
    """
    found: List[Published] = []
    for path in sorted(root.glob('configs/*/metafile.yaml')):
        values = metadata(path)
        rows: Dict[tuple, Dict[str, str]] = {}
        for entry in values.get('Published mIoU', ()):
            match = ENTRY.fullmatch(entry)
            if match is None:
                raise ValueError(f'{path}: {entry!r} is not "<data> <labels>, <network>: <mIoU>"')
            rows.setdefault((match['data'], match['network']), {})[match['part']] = match['value']
        method, folder = values['Name'], path.parent.name
        found += [Published(method, folder, *key, figures) for key, figures in rows.items()]
    return found
