# Copyright (c) mmseg_ctt contributors.
"""Run all benchmarks and write a dated page; usually by benchmark_all.sh.

bash tools/analysis_tools/benchmark_all.sh [--out DIR] [--minutes M] [--methods NAME ...]

A new folder DIR/<date and time> gets benchmarks.md, benchmarks.json, and the results and log of
each part. On a GPU it stops after ten minutes (`--minutes`). Without a GPU a small case is measured
on the CPU. Each part is a process of its own with a time limit; one that fails is `not measured`,
with the reason, and the others go on. No data is needed: images are random or drawn.
"""

import argparse
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, given, run  # noqa: E402
from _refusals import refuse_unused  # noqa: E402

SHELL = 'tools/analysis_tools/benchmark_all.sh'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('--out', default='work_dirs/benchmarks', help='parent of the new folder')
    parser.add_argument('--minutes', type=float, help='for everything; default: 10, on a CPU 60')
    parser.add_argument(
        '--methods',
        nargs='+',
        metavar='NAME',
        help='folders of configs, or all; default: all on a GPU, a few on a CPU',
    )
    parser.add_argument('--tables', nargs='+', metavar='NAME', help='only these tables')
    parser.add_argument(
        '--unimatch-v2',
        metavar='FOLDER',
        help="the authors' code of UniMatch V2, fetched by you; their loop is run from it",
    )
    return parser.parse_args()


def check(args: argparse.Namespace, tables: list) -> None:
    unknown = sorted(set(args.tables or ()) - set(tables))
    if unknown:
        raise ValueError(f'--tables {unknown[0]}: choose from {", ".join(tables)}')
    for table, option in (('methods', 'methods'), ('authors', 'unimatch_v2')):
        if args.tables and table not in args.tables:
            refuse_unused(args, (option,), f'--tables leaves the table {table} out')
    if args.minutes is not None and args.minutes <= 0:
        raise ValueError(f'--minutes={args.minutes:g} must be positive')
    if args.unimatch_v2 and not (Path(args.unimatch_v2) / 'unimatch_v2.py').is_file():
        raise FileNotFoundError(f'--unimatch-v2: there is no {args.unimatch_v2}/unimatch_v2.py')


def main() -> None:
    args = parse_args()
    import torch
    from mmengine.device import get_device

    import mmseg_ctt  # noqa: F401, before anything imports mmseg
    from mmseg_ctt.lab.benchmark.machine import describe_machine
    from mmseg_ctt.lab.benchmark.suite.plan import Options, plan
    from mmseg_ctt.lab.benchmark.suite.run import Suite, new_folder
    from mmseg_ctt.lab.benchmark.suite.tables import KINDS

    check(args, list(KINDS))
    device = torch.device(get_device())
    gpu = device.type == 'cuda'
    authors = str(Path(args.unimatch_v2).resolve()) if args.unimatch_v2 else ''
    chosen = {name: tuple(words) for name, words in given(args, ('methods', 'tables')).items()}
    parts = plan(Options(gpu, unimatch_v2=bool(authors), **chosen))
    out = new_folder(Path(args.out), datetime.now())
    print(f'{"GPU" if gpu else "no GPU found: a small case on the CPU"}; results: {out}')
    minutes = args.minutes or (10 if gpu else 60)
    command = ['bash', SHELL, *sys.argv[1:]]
    suite = Suite(parts, out, describe_machine(device), minutes, command, authors)
    suite.run(lambda line: print(line, flush=True))
    print(f'page: {out / "benchmarks.md"}')


if __name__ == '__main__':
    run(main)
