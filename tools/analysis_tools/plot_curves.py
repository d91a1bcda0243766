# Copyright (c) mmseg_ctt contributors.
"""Draw what several runs recorded into one PNG: a panel a key, a line a run.

python tools/analysis_tools/plot_curves.py supervised=WORK_DIR ctt=WORK_DIR \
    --keys student0.loss_ct student0.confident pseudo/acc pseudo/mIoU --out curves.png

The keys are those of */vis_data/scalars.json in the work folders. A run that has not recorded a key
has no line there; a key that no run has is an error. report.py shows everything about a run; this
is for a figure in a text.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

COLUMNS = 2


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('runs', nargs='+', metavar='NAME=WORK_DIR')
    parser.add_argument('--keys', nargs='+', required=True, help='one panel each')
    parser.add_argument('--out', required=True, help='PNG file')
    return parser.parse_args()


def named_folders(runs: list) -> dict:
    """Folder by name, in the order given."""
    wrong = [one for one in runs if '=' not in one]
    if wrong:
        raise ValueError(f'runs are given as NAME=WORK_DIR, got {wrong[0]!r}')
    names = [one.split('=', 1)[0] for one in runs]
    if len(set(names)) < len(names):
        raise ValueError(f'a name is given twice: {names}')
    return {name: Path(folder) for name, folder in (one.split('=', 1) for one in runs)}


def read(folders: dict) -> dict:
    """Curves by key of each run, interrupted or not."""
    from mmseg_ctt.lab.report.runs import read_runs

    return {name: run.curves for name, run in zip(folders, read_runs(list(folders.values())))}


def draw(curves: dict, keys: list):
    """A figure of ``keys`` panels from curves by run and key."""
    from matplotlib.figure import Figure  # pyplot would look for a display

    rows = -(-len(keys) // COLUMNS)
    figure = Figure(figsize=(10, 3 * rows), layout='constrained')
    for i, key in enumerate(keys):
        panel = figure.add_subplot(rows, min(COLUMNS, len(keys)), i + 1, title=key)
        for number, (name, found) in enumerate(curves.items()):
            if key in found:
                panel.plot(*found[key], label=name, color=f'C{number}')
        panel.set_xlabel('iteration')
        panel.grid(alpha=0.3)
        panel.legend(fontsize='small')
    return figure


def main() -> None:
    args = parse_args()
    curves = read(named_folders(args.runs))
    known = {key for found in curves.values() for key in found}
    missing = [key for key in args.keys if key not in known]
    if missing:
        raise ValueError(f'no run recorded {missing[0]!r}; known keys are {sorted(known)}')
    draw(curves, args.keys).savefig(args.out, dpi=120)
    print(f'written: {args.out}')


if __name__ == '__main__':
    run(main)
