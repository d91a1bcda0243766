# Copyright (c) mmseg_ctt contributors.
"""What a training step costs, section by section, and how far it is above its networks alone.

python tools/analysis_tools/benchmark_step.py CONFIG [--out DIR] [--synthetic]

Writes benchmark.json (`floor_ratio` at its top) and benchmark.png into DIR. The floor is the same
network passes with the losses replaced by a mean of the logits, measured in turns with the step.
Weights are random, memory banks are full, the contrast is on.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, described, read_config, run  # noqa: E402

FEWEST = 10  # repeats that a median is taken of
DTYPES = dict(bf16='bfloat16', fp16='float16')


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config file of a training')
    parser.add_argument('--out', help='folder for benchmark.json and benchmark.png')
    parser.add_argument('--repeats', type=int, default=FEWEST, help=f'at least {FEWEST}')
    parser.add_argument('--warmup', type=int, default=3, help='steps before, not timed')
    parser.add_argument(
        '--synthetic',
        action='store_true',
        help='random images and labels, where the data is absent',
    )
    parser.add_argument('--amp', choices=sorted(DTYPES), help='mixed precision, on a GPU')
    parser.add_argument(
        '--compile',
        action='store_true',
        dest='compiled',
        help='torch.compile every backbone, in step and floor',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def load_config(args: argparse.Namespace):
    cfg = read_config(args.config, args.cfg_options)
    if args.synthetic:
        from mmseg_ctt.lab.benchmark.synthetic import use_synthetic_data

        use_synthetic_data(cfg)
    if args.amp:
        from train import set_amp

        set_amp(cfg)
        cfg.optim_wrapper.dtype = DTYPES[args.amp]
        if args.amp == 'bf16':  # has the range of float32
            cfg.optim_wrapper.loss_scale = dict(enabled=False)
    return cfg


def main() -> None:
    args = parse_args()
    if args.repeats < FEWEST:
        raise ValueError(f'--repeats={args.repeats}: the figures are medians of at least {FEWEST}')
    cfg = load_config(args)
    from mmseg_ctt.lab.benchmark.chart import save_chart
    from mmseg_ctt.lab.benchmark.report import print_step
    from mmseg_ctt.lab.benchmark.step import benchmark_step

    result = benchmark_step(cfg, args.repeats, args.warmup, args.compiled)
    result.update(
        config=args.config,
        command=shlex.join(['python', *sys.argv]),
        amp=args.amp,
        synthetic=args.synthetic,
        compiled=args.compiled,
        weights='random',
    )
    print_step(result)
    if args.out:
        out = Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / 'benchmark.json').write_text(json.dumps(result, indent=2) + '\n')
        title = f'{Path(args.config).stem}, {result["machine"]["device_name"]}'
        save_chart(out / 'benchmark.png', result, title)
        print(f'benchmark.json and benchmark.png: {out}')


if __name__ == '__main__':
    run(main)
