# Copyright (c) mmseg_ctt contributors.
"""Write the tables of docs/guide/which_method.md: measured and published figures of methods.

python tools/misc/make_comparison.py            write the tables
python tools/misc/make_comparison.py --check    say whether the page is up to date

Measured figures are those of docs/results_strongest.csv (tools/analysis_tools/run_matrix.py) and
docs/step_costs.json (tools/analysis_tools/benchmark_methods.py). Published ones are in the
metafiles of configs, `Published mIoU`. Exit status: 0 done or up to date, 1 not up to date.
"""

import json
import math
import re
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import run  # noqa: E402
from _made_tables import parse_args, update  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = 'tools/misc/make_comparison.py'
PAGE = 'docs/guide/which_method.md'
MATRIX = 'configs/matrices/camvid_strongest.yaml'
COSTS = 'docs/step_costs.json'
SPLIT = 'seq_0006R0'
# columns of the published tables, in the order of their labels
PARTITIONS = {
    'VOC': ('92', '183', '366', '732', '1464'),
    'Cityscapes': ('1/16', '1/8', '1/4', '1/2'),
}
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


def measured() -> List[Measured]:
    """Rows of the matrix that have figures, the best on the test images first."""
    import mmseg_ctt  # noqa: F401, I001, before anything imports mmseg
    from mmseg_ctt.lab.experiments.matrix import read_matrix
    from mmseg_ctt.lab.experiments.results import read_rows
    from mmseg_ctt.lab.experiments.table import Table

    matrix = read_matrix(ROOT / MATRIX)
    table = Table(matrix, read_rows(ROOT / matrix.out))
    costs = step_costs()
    found: List[Measured] = []
    for method in table.methods:
        config = next(cell.config for cell in matrix.cells if cell.method == method)
        val, test = (table.summary(method, SPLIT, images).mean for images in ('val', 'test'))
        if not math.isnan(val):
            folder = Path(config).parent.name
            found.append(Measured(method, folder, val, test, costs.get(folder)))
    return sorted(found, key=lambda row: -row.test)


def step_costs() -> Dict[str, float]:
    """Processor time of a step beside that of the supervised baseline, by folder of configs."""
    path = ROOT / COSTS
    rows = json.loads(path.read_text()) if path.is_file() else []
    by_config = {row['name']: row['step'] for row in rows}
    paths = {name: next(ROOT.glob(f'configs/*/{name}.py'), None) for name in by_config}
    steps = {path.parent.name: by_config[name] for name, path in paths.items() if path}
    return {folder: step / steps['supervised'] for folder, step in steps.items()}


def measured_table() -> str:
    """mIoU of every measured row, its difference to labels alone, and the cost of a step."""
    rows = measured()
    base = next(row for row in rows if row.method == 'supervised')
    lines = [
        '| row of the matrix | val | test | beside labels alone | cost of a step |',
        '| --- | --- | --- | --- | --- |',
    ]
    for row in rows:
        name = f'[{row.method}](../../configs/{row.config}/README.md)'
        cost = '-' if row.cost is None else f'{row.cost:.1f}'
        lines.append(
            f'| {name} | {row.val:.2f} | {row.test:.2f} | {row.test - base.test:+.2f} | {cost} |'
        )
    return '\n'.join(lines)


def published() -> Dict[str, Dict[Tuple[str, str], Dict[str, str]]]:
    """Published mIoU as written, by data, method and network, and partition."""
    import yaml

    found: Dict[str, Dict[Tuple[str, str], Dict[str, str]]] = {}
    for path in sorted(ROOT.glob('configs/*/metafile.yaml')):
        collection = yaml.safe_load(path.read_text())['Collections'][0]
        for entry in collection['Metadata'].get('Published mIoU', ()):
            match = ENTRY.fullmatch(entry)
            if match is None:
                raise ValueError(f'{path}: {entry!r} is not "<data> <labels>, <network>: <mIoU>"')
            name = f'[{collection["Name"]}](../../configs/{path.parent.name}/README.md)'
            rows = found.setdefault(match['data'], {}).setdefault((name, match['network']), {})
            rows[match['part']] = match['value']
    return found


def published_table(data: str, partitions: Sequence[str]) -> str:
    """Published mIoU of a data set; the best at the second partition first."""
    lines = [
        f'| method | network | {" | ".join(partitions)} |',
        f'| --- | --- |{" --- |" * len(partitions)}',
    ]
    rows = published().get(data, {})

    def order(item: Tuple[Tuple[str, str], Dict[str, str]]) -> float:
        values = item[1]
        return -float(values.get(partitions[1], values.get(partitions[0], 0)))

    for (name, network), values in sorted(rows.items(), key=order):
        cells = ' | '.join(values.get(part, '-') for part in partitions)
        lines.append(f'| {name} | {network} | {cells} |')
    return '\n'.join(lines)


def tables() -> Dict[Tuple[str, str], str]:
    """Tables by page and name."""
    made = {(PAGE, 'measured'): measured_table()}
    for data, partitions in PARTITIONS.items():
        made[PAGE, f'published, {data}'] = published_table(data, partitions)
    return made


def main() -> None:
    check = parse_args(__doc__).check
    import mmengine  # noqa: F401, without an environment the error is that of all tools

    update(ROOT, tables(), SCRIPT, check)


if __name__ == '__main__':
    run(main)
