# Copyright (c) mmseg_ctt contributors.
"""Figures of methods for the made tables: measured ones, and published ones of the metafiles."""

import json
import math
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

MATRIX = 'configs/matrices/camvid_strongest.yaml'
COSTS = 'docs/step_costs.json'
SPLIT = 'seq_0006R0'
ENTRY = re.compile(r'(?P<data>.+?) (?P<part>\d+|1/\d+), (?P<network>[^:]+): (?P<value>[\d.]+)')


class Measured(NamedTuple):
    """A row of the measured table.

    Attributes:
        method (str): Name in the matrix.
        config (str): Its folder of configs.
        val (float): mIoU of the validation images.
        test (float): mIoU of the test images; NaN where it was not measured.
        cost (float, optional): Processor time of a step, beside that of labels alone.
    """

    method: str
    config: str
    val: float
    test: float
    cost: Optional[float]


def measured(root: Path) -> List[Measured]:
    """Rows of the matrix that have figures, the best on the test images first."""
    import mmseg_ctt  # noqa: F401, I001, before anything imports mmseg
    from mmseg_ctt.lab.experiments.matrix import read_matrix
    from mmseg_ctt.lab.experiments.results import read_rows
    from mmseg_ctt.lab.experiments.table import Table

    matrix = read_matrix(root / MATRIX)
    table = Table(matrix, read_rows(root / matrix.out))
    costs = step_costs(root)
    found: List[Measured] = []
    for method in table.methods:
        config = next(cell.config for cell in matrix.cells if cell.method == method)
        val, test = (table.summary(method, SPLIT, images).mean for images in ('val', 'test'))
        if not math.isnan(val):
            folder = Path(config).parent.name
            found.append(Measured(method, folder, val, test, costs.get(folder)))
    return sorted(found, key=lambda row: -row.test)


def step_costs(root: Path) -> Dict[str, float]:
    """Processor time of a step beside that of the supervised baseline, by folder of configs."""
    path = root / COSTS
    rows = json.loads(path.read_text()) if path.is_file() else []
    by_config = {row['name']: row['step'] for row in rows}
    paths = {name: next(root.glob(f'configs/*/{name}.py'), None) for name in by_config}
    steps = {path.parent.name: by_config[name] for name, path in paths.items() if path}
    return {folder: step / steps['supervised'] for folder, step in steps.items()}


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
