# Copyright (c) mmseg_ctt contributors.
"""Plot logged values of several runs into one PNG: a panel per key, a line per run.

python tools/analysis_tools/plot_curves.py supervised=WORK_DIR ctt=WORK_DIR \
    --keys student0.loss_ct student0.confident pseudo/acc pseudo/mIoU --out curves.png

The keys are those of */vis_data/scalars.json in the work folders. A run without a key has no line
in its panel; a key that no run has is an error. report.py shows all records of a run; this tool
makes a figure for a text.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 2


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('runs', nargs='+', metavar='NAME=WORK_DIR')
    parser.add_argument('--keys', nargs='+', required=True, help='keys of the panels')
    parser.add_argument('--out', required=True, help='PNG file')
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    return parser.parse_args()


def named_folders(runs: list) -> dict:
    """Folder by name, in the order given."""
    wrong = [run for run in runs if '=' not in run]
    if wrong:
        raise ValueError(f'runs are given as NAME=WORK_DIR, got {wrong[0]!r}')
    names = [run.split('=', 1)[0] for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(f'a name is given twice: {names}')
    return {name: Path(folder) for name, folder in (run.split('=', 1) for run in runs)}


def read(folders: dict) -> dict:
    """Curves of each run by key."""
    from mmseg_ctt.lab.report.runs import read_runs

    return {name: run.curves for name, run in zip(folders, read_runs(list(folders.values())))}


def draw(curves: dict, keys: list) -> 'Figure':
    """Figure with a panel per key, from curves by run and key."""
    from matplotlib.figure import Figure  # not pyplot, which needs a display

    rows = -(-len(keys) // COLUMNS)
    figure = Figure(figsize=(10, 3 * rows), layout='constrained')
    for i, key in enumerate(keys):
        panel = figure.add_subplot(rows, min(COLUMNS, len(keys)), i + 1, title=key)
        for number, (name, run_curves) in enumerate(curves.items()):
            if key in run_curves:
                panel.plot(*run_curves[key], label=name, color=f'C{number}')
        panel.set_xlabel('iteration')
        panel.grid(alpha=0.3)
        panel.legend(fontsize='small')
    return figure


def main() -> None:
    args = parse_args()
    from mmseg_ctt.engine.out_paths import check_new_file

    out = Path(args.out)
    out = check_new_file(out if out.suffix else out.with_suffix('.png'), args.overwrite)
    curves = read(named_folders(args.runs))
    known = {key for run_curves in curves.values() for key in run_curves}
    missing = [key for key in args.keys if key not in known]
    if missing:
        raise ValueError(f'no run recorded {missing[0]!r}; known keys are {sorted(known)}')
    figure = draw(curves, args.keys)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    print(f'written: {out}')


if __name__ == '__main__':
    run(main)
