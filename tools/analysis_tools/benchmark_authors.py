# Copyright (c) mmseg_ctt contributors.
"""Benchmark a step of UniMatch V2 beside the one that its authors wrote.

python tools/analysis_tools/benchmark_authors.py CONFIG FOLDER [--synthetic] [--out DIR]

FOLDER is the authors' code, which you have fetched. The training loop of its unimatch_v2.py is run
as it stands, on the network and images of CONFIG, in turns with ours, in float32. Writes
authors.json into DIR.
"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import (  # noqa: E402
    add_cfg_options,
    check_file,
    check_results,
    described,
    given,
    read_config,
    run,
    write_result,
)

RESULT = 'authors.json'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config file of a training of UniMatch V2')
    parser.add_argument('folder', help='folder of the code of the authors')
    parser.add_argument('--synthetic', action='store_true', help='random images and labels')
    parser.add_argument('--repeats', type=int, help='default: 10, the fewest')
    parser.add_argument('--out', help='folder for authors.json')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmseg_ctt.lab.benchmark.repeats import check_repeats

    check_repeats(args.repeats)
    check_results(args.out, RESULT)
    check_file(f'{args.folder}/unimatch_v2.py', 'training script of the authors')
    cfg = read_config(args.config, args.cfg_options)
    from mmseg_ctt.lab.benchmark.authors import benchmark_authors

    if args.synthetic:
        from mmseg_ctt.lab.benchmark.synthetic import use_synthetic_data

        use_synthetic_data(cfg)
    if cfg.model.type != 'UniMatchV2':
        raise ValueError(f'{args.config}: model.type is {cfg.model.type}, and not UniMatchV2')
    result = benchmark_authors(cfg, Path(args.folder), **given(args, ('repeats',)))
    result.update(config=args.config, command=shlex.join(['python', *sys.argv]))
    for name in ('ours', 'authors'):
        found = result[name]
        print(
            f'{name}: {1e3 * found["seconds"]:.1f} ms, {found["operations"]} operations outside '
            f'the network, {found["synchronisations"]} synchronisations'
        )
    if args.out:
        write_result(Path(args.out, RESULT), result)


if __name__ == '__main__':
    run(main)
