# Copyright (c) mmseg_ctt contributors.
"""Benchmark contrast, EMA and memory bank against the forms of released code, alternately.

python tools/analysis_tools/benchmark_parts.py [contrast] [ema] [bank] [lal] [--out DIR]

Writes parts.json into DIR. Contrast: N=6724 pixels, K=21 classes, V=256 entries, D=256. EMA: two
DeepLabV3+ R50 of 43.6 M parameters. Bank: a push of 10 x 41 x 41 pixels. Lal: the locally
adaptive loss of windows of side q and stride t, beside the cross-entropy of the same 2 x 21 x 321 x
321 logits. Chunks: both contrasts by the number of similarities held at a time. Each part runs in a
process of its own.
"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import check_results, described, run, write_result  # noqa: E402

PARTS = ('contrast', 'ema', 'bank', 'lal', 'chunks')
RESULT = 'parts.json'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('parts', nargs='*', metavar='PART', help=f'{", ".join(PARTS)}; all')
    parser.add_argument('--out', help='folder for parts.json')
    parser.add_argument('--repeats', type=int, help='default: 10, the fewest')
    return parser.parse_args()


def check(args: argparse.Namespace) -> None:
    unknown = sorted(set(args.parts) - set(PARTS))
    if unknown:
        raise ValueError(f'unknown part {unknown[0]}: choose from {", ".join(PARTS)}')


def main() -> None:
    args = parse_args()
    check(args)
    import torch
    from mmengine.device import get_device

    import mmseg_ctt  # noqa: F401, before anything imports mmseg
    from mmseg_ctt.lab.benchmark import parts
    from mmseg_ctt.lab.benchmark.machine import describe_machine
    from mmseg_ctt.lab.benchmark.repeats import REPEATS, check_repeats
    from mmseg_ctt.lab.benchmark.report import print_parts

    check_repeats(args.repeats)
    check_results(args.out, RESULT)
    device = torch.device(get_device())
    repeats = REPEATS if args.repeats is None else args.repeats
    result = dict(
        command=shlex.join(['python', *sys.argv]), repeats=repeats, machine=describe_machine(device)
    )
    for name in args.parts or PARTS:
        result[name] = parts.run_in_process(name, device, repeats)
    print_parts(result)
    if args.out:
        write_result(Path(args.out, RESULT), result)


if __name__ == '__main__':
    run(main)
