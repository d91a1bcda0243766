# Copyright (c) mmseg_ctt contributors.
"""Benchmark one step of each method and draw one chart of them.

python tools/analysis_tools/benchmark_methods.py CONFIG [CONFIG ...] --out DIR [--synthetic]

Each config has a process of its own, which writes DIR/<config>/benchmark.json; configs whose file
is there already are not measured again. Then methods.json and methods.png are written into DIR. A
config that fails or takes too long is named with the reason, and the others are measured. For a
fair comparison all configs have the same network and batch; options such as
`--cfg-options sizes.crop_size="(96,128)"` are given to all.
"""

import argparse
import json
import shlex
import sys
from itertools import takewhile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, given, run  # noqa: E402

MORE = '--cfg-options'
STEP = Path(__file__).with_name('benchmark_step.py')


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('configs', nargs='+', help='config files of trainings')
    parser.add_argument('--out', required=True, help='folder of the results')
    parser.add_argument('--repeats', type=int, help='timed steps of each; default: 10, the fewest')
    parser.add_argument('--synthetic', action='store_true', help='random images and labels')
    parser.add_argument('--amp', choices=('bf16', 'fp16'), help='mixed precision')
    parser.add_argument(
        '--limit', type=float, default=600, help='seconds for each config; default: 600'
    )
    parser.add_argument(
        '--total', type=float, default=7200, help='seconds for all configs; default: 7200'
    )
    parser.add_argument(
        '--per-process',
        type=int,
        help='configs that share a process: a quicker start, but on a CPU not the memory of each; '
        'default: 1',
    )
    parser.add_argument(MORE, nargs='+', default=[], metavar='KEY=VALUE', help='for all configs')
    return parser.parse_args()


def check(args: argparse.Namespace) -> None:
    """Raise where the benchmark of a config cannot begin or would replace another."""
    from mmseg_ctt.lab.benchmark.repeats import check_repeats
    from mmseg_ctt.lab.benchmark.several import check_names

    check_repeats(args.repeats)
    check_names(args.configs)
    missing = next((config for config in args.configs if not Path(config).is_file()), None)
    if missing is not None:
        raise FileNotFoundError(f'there is no config {missing}')
    check_earlier(args)


def check_earlier(args: argparse.Namespace) -> None:
    """Raise where results of an earlier call, which are kept, are of other options."""
    from mmseg_ctt.lab.benchmark.repeats import REPEATS
    from mmseg_ctt.lab.benchmark.several import result_file

    usual = dict(amp=None, synthetic=False, command='', iterations=dict(repeats=REPEATS))
    repeats = REPEATS if args.repeats is None else args.repeats
    for file in (result_file(Path(args.out), config) for config in args.configs):
        if not file.is_file():
            continue
        old = {**usual, **json.loads(file.read_text())}
        earlier = old['amp'], old['synthetic'], options_of(old['command'])
        times = old['iterations']['repeats']
        if (*earlier, times) != (args.amp, args.synthetic, args.cfg_options, repeats):
            raise ValueError(f'{file} was measured with other options: name another --out')


def options_of(command: str) -> list:
    """Words behind ``--cfg-options`` in the command of earlier results."""
    words = shlex.split(command)
    behind = words[words.index(MORE) + 1 :] if MORE in words else []
    return list(takewhile(lambda word: not word.startswith('--'), behind))


def command_of(args: argparse.Namespace) -> list:
    """Command that measures configs, without the configs."""
    command = [sys.executable, str(STEP), '--out', str(args.out)]
    command += ['--repeats', str(args.repeats)] if args.repeats is not None else []
    command += ['--synthetic'] if args.synthetic else []
    command += ['--amp', args.amp] if args.amp else []
    if args.cfg_options:
        command += [MORE, *args.cfg_options]
    return [*command, '--each']


def main() -> None:
    args = parse_args()
    check(args)
    import torch

    from mmseg_ctt.lab.benchmark.methods import Cost, print_costs, save_costs
    from mmseg_ctt.lab.benchmark.several import Limits, measure_each

    out = Path(args.out)
    limits = Limits(args.limit, args.total, **given(args, ('per_process',)))
    limits.check()
    results, reasons = measure_each(
        args.configs, out, command_of(args), limits, torch.get_num_threads()
    )
    if not results:
        raise ValueError(f'no config could be measured: {next(iter(reasons.values()))}')
    costs = sorted(map(Cost.of, results), key=lambda cost: cost.step)
    print_costs(costs)
    written = dict(
        command=shlex.join(['python', *sys.argv]),
        machine=results[0]['machine'],
        costs=[cost._asdict() for cost in costs],
        not_measured=reasons,
    )
    (out / 'methods.json').write_text(json.dumps(written, indent=2) + '\n')
    title = f'one step of each method, {results[0]["machine"]["device_name"]}'
    save_costs(out / 'methods.png', costs, title)
    print(f'methods.json and methods.png: {out}')


if __name__ == '__main__':
    run(main)
