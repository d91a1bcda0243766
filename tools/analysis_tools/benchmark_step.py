# Copyright (c) mmseg_ctt contributors.
"""Benchmark a training step by section, and its ratio to the networks alone.

python tools/analysis_tools/benchmark_step.py CONFIG [--out DIR] [--synthetic]

Writes benchmark.json (`floor_ratio` at its top) and benchmark.png into DIR; of several configs with
`--each`, which are measured one after the other, into DIR/<config>. The floor is the same
network passes with the losses replaced by a mean of the logits, measured alternately with the step.
Weights are random, memory banks are full, the contrast is on. Files that exist are not replaced.
"""

import argparse
import gc
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Optional

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

if TYPE_CHECKING:
    from mmengine.config import Config

PRECISIONS = ('bf16', 'fp16')
RESULTS = ('benchmark.json', 'benchmark.png')


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', nargs='?', help='config file of a training')
    parser.add_argument('--each', nargs='+', default=[], metavar='CONFIG', help='several configs')
    parser.add_argument('--out', help='folder for benchmark.json and benchmark.png')
    parser.add_argument('--repeats', type=int, help='default: 10, the fewest')
    parser.add_argument('--warmup', type=int, help='untimed steps before; default: 3')
    parser.add_argument(
        '--synthetic',
        action='store_true',
        help='random images and labels, for machines without the data',
    )
    parser.add_argument('--amp', choices=PRECISIONS, help='mixed precision, fp16 on a GPU')
    parser.add_argument(
        '--compile', dest='compiled', **FLAG, help='torch.compile every backbone, in step and floor'
    )
    add_cfg_options(parser)
    args = parser.parse_args()
    if bool(args.config) == bool(args.each) or (args.each and not args.out):
        parser.error('give one config, or several behind --each with --out')
    return args


def load_config(config: str, args: argparse.Namespace) -> 'Config':
    cfg = read_config(config, args.cfg_options)
    if args.synthetic:
        from mmseg_ctt.lab.benchmark.synthetic import use_synthetic_data

        use_synthetic_data(cfg)
    if args.amp:
        from mmseg_ctt.engine.precision import set_amp

        set_amp(cfg, args.amp)
    return cfg


def folders_of(args: argparse.Namespace) -> Dict[str, Optional[Path]]:
    """Folder of the results of each config, or None."""
    if args.config:
        return {args.config: Path(args.out) if args.out else None}
    return {config: Path(args.out, Path(config).stem) for config in args.each}


def measure(config: str, out: Optional[Path], args: argparse.Namespace) -> None:
    """Measure a config, print its table and write its files."""
    cfg = load_config(config, args)
    from mmseg_ctt.lab.benchmark.chart import save_chart
    from mmseg_ctt.lab.benchmark.report import print_step
    from mmseg_ctt.lab.benchmark.step import benchmark_step

    result = benchmark_step(cfg, **given(args, ('repeats', 'warmup', 'compiled')))
    result.update(
        config=config,
        command=shlex.join(['python', *sys.argv]),
        amp=args.amp,
        synthetic=args.synthetic,
        weights='random',
    )
    print_step(result)
    if out is not None:
        write_result(out / RESULTS[0], result)
        title = f'{Path(config).stem}, {result["machine"]["device_name"]}'
        save_chart(out / RESULTS[1], result, title)
        print(f'{RESULTS[1]}: {out}')


def free_memory() -> None:
    """Leave the next config the memory of the last one."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> None:
    args = parse_args()
    from mmseg_ctt.lab.benchmark.repeats import check_repeats
    from mmseg_ctt.lab.benchmark.several import check_names

    check_repeats(args.repeats)
    check_names(args.each)
    folders = folders_of(args)
    for folder in folders.values():
        check_results(folder, *RESULTS)
    for config, folder in folders.items():
        measure(config, folder, args)
        free_memory()


if __name__ == '__main__':
    run(main)
