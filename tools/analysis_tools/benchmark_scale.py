# Copyright (c) mmseg_ctt contributors.
"""Measure what banks, samplers, checks and messages cost as images, classes and ranks grow.

python tools/analysis_tools/benchmark_scale.py [--out DIR]

By simulation: sizes and indices alone, no image files, and a stub in place of other processes.
Takes some seconds. Writes scale.json into DIR.
"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import check_results, described, run, write_result  # noqa: E402

RESULT = 'scale.json'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('--out', help='folder for scale.json')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import mmengine  # noqa: F401, without an environment the error is that of all tools

    import mmseg_ctt  # noqa: F401, before anything imports mmseg
    from mmseg_ctt.lab.benchmark.report import print_rows
    from mmseg_ctt.lab.benchmark.scale import benchmark_scale

    check_results(args.out, RESULT)
    result = benchmark_scale()
    print_rows('what it costs at scale', result['columns'], result['rows'])
    if args.out:
        result['command'] = shlex.join(['python', *sys.argv])
        write_result(Path(args.out, RESULT), result)


if __name__ == '__main__':
    run(main)
