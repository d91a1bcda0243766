# Copyright (c) mmseg_ctt contributors.
"""Benchmark the loading of training images: processor time by step, and images a second.

python tools/analysis_tools/benchmark_loader.py CONFIG [--training-copy DIR] [--workers 0 1 2]

Loads the first draws of the sampler of the config. The upper table is processor time of one thread
for one image of each source: decoding, every step of the pipeline, collating. The lower one is
images a second of the data loader by the clock, with each number of workers. With a training copy
both are taken in turns with the originals. The model is not built. Writes loader.json into --out.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, check_results, described, given, read_config, run, write_result  # noqa: E402

RESULT = 'loader.json'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config file of a training')
    parser.add_argument(
        '--training-copy',
        dest='copy',
        metavar='DIR',
        help='folder of make_training_copy.py; default: training_copy of the config',
    )
    parser.add_argument('--images', type=int, help='images loaded each time; default: 16')
    parser.add_argument('--repeats', type=int, help='times; the median counts; default: 5')
    parser.add_argument(
        '--workers',
        type=int,
        nargs='+',
        help='numbers; default: 0, and powers of two up to the CPUs',
    )
    parser.add_argument('--out', help='folder for loader.json')
    add_cfg_options(parser)
    return parser.parse_args()


def print_result(result: dict) -> None:
    from mmseg_ctt.lab.benchmark.report import print_rows

    stages, rates = result['stages'], result['images_per_second']
    kinds = list(stages)
    for name in stages[kinds[0]]:
        columns = [stages[kind][name] for kind in kinds]
        rows = [[step, *(_ms(column.get(step)) for column in columns)] for step in columns[0]]
        totals = [sum(column.values()) for column in columns]
        rows.append(['all', *map(_ms, totals)])
        print_rows(f'processor ms of one image of {name}', ['step', *kinds], rows)
        if len(kinds) > 1:
            print(f'{name}: {totals[0] / totals[1]:.1f} times as fast from the copy')
    numbers = list(next(iter(rates.values())))
    print_rows(
        f'images a second by the clock, {result["machine"]["cores"]} cores',
        ['workers', *rates],
        [[number, *(f'{rates[kind][number]:.1f}' for kind in rates)] for number in numbers],
    )


def _ms(seconds: Optional[float]) -> str:
    return '-' if seconds is None else f'{1e3 * seconds:.2f}'


def main() -> None:
    args = parse_args()
    check_results(args.out, RESULT)
    cfg = read_config(args.config, args.cfg_options)
    from mmseg_ctt.lab.benchmark.loader import benchmark_loader

    settings = given(args, ('images', 'repeats', 'workers', 'copy'))
    result = benchmark_loader(cfg, **settings)
    result.update(config=args.config, command=shlex.join(['python', *sys.argv]))
    print_result(result)
    if args.out:
        write_result(Path(args.out, RESULT), result)


if __name__ == '__main__':
    run(main)
