# Copyright (c) mmseg_ctt contributors.
"""Benchmark the evaluation of every member against the networks of the members alone.

python tools/analysis_tools/benchmark_evaluation.py CONFIG [--images N] [--repeats R] [--out DIR]

Runs the validation loop of the config, with its metrics, and alternately its floor: the same
networks on the same images, read and normalised before. Images are read in this process, not by
workers; the ratio is given with and without reading. Weights are random. Writes evaluation.json
(`ratio` and `cpu_ratio`, both without reading, at its top) into DIR.
"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import (  # noqa: E402
    FLAG,
    add_cfg_options,
    check_results,
    described,
    given,
    read_config,
    run,
    write_result,
)

RESULT = 'evaluation.json'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config file of a training')
    parser.add_argument('--images', type=int, help='first images that are read; default: 16')
    parser.add_argument('--repeats', type=int, help='default: 10, the fewest')
    parser.add_argument(
        '--stock',
        **FLAG,
        help='measure one evaluation of each member and the ensemble by mmseg alone, too',
    )
    parser.add_argument('--out', help='folder for evaluation.json')
    add_cfg_options(parser)
    return parser.parse_args()


def print_result(result: dict) -> None:
    from mmseg_ctt.lab.benchmark.report import print_rows

    rows = [
        [
            name,
            f'{1e3 * section["seconds"]:.1f}',
            f'{1e3 * section["cpu_seconds"]:.1f}',
            f'{100 * section["cpu_of_floor"]:.1f}',
        ]
        for name, section in result['sections'].items()
    ]
    machine = result['machine']
    device = machine['device_name'] + (' (no GPU found)' if machine['device'] == 'cpu' else '')
    print_rows(
        f'{result["config"]}, {result["images"]} images, on {device}',
        ['section', 'ms', 'processor ms', '% floor, processor'],
        rows,
    )
    for name, key in (('by the clock', 'seconds'), ('in processor time', 'cpu_seconds')):
        times = result[key]
        print(
            f'{name}: {result["networks"]} networks alone {1e3 * times["floor"]:.0f} ms, loop '
            f'{1e3 * times["loop"]:.0f} ms: {times["ratio"]:.3f} x floor; with reading of images '
            f'{times["ratio_with_data"]:.3f}'
        )


def print_stock(result: dict) -> None:
    if 'of_stock' in result:
        number = result['networks'] + 1
        print(f'in processor time, with reading: {result["of_stock"]:.2f} of {number} evaluations')


def main() -> None:
    args = parse_args()
    from mmseg_ctt.lab.benchmark.repeats import check_repeats

    check_repeats(args.repeats)
    check_results(args.out, RESULT)
    cfg = read_config(args.config, args.cfg_options)
    from mmseg_ctt.lab.benchmark.evaluation import benchmark_evaluation

    result = benchmark_evaluation(cfg, **given(args, ('images', 'repeats', 'stock')))
    result.update(config=args.config, command=shlex.join(['python', *sys.argv]), weights='random')
    print_result(result)
    print_stock(result)
    if args.out:
        write_result(Path(args.out, RESULT), result)


if __name__ == '__main__':
    run(main)
