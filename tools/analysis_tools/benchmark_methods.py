# Copyright (c) mmseg_ctt contributors.
"""Benchmark one step of each method and draw one chart of them.

python tools/analysis_tools/benchmark_methods.py CONFIG [CONFIG ...] --out DIR [--synthetic]

Each config has a process of its own (benchmark_step.py), which writes DIR/<config>/benchmark.json;
configs whose file is there already are not measured again. Then methods.json and methods.png are
written into DIR. For a fair comparison all configs have the same network and batch; options such as
`--cfg-options sizes.crop_size="(96,128)"` are given to all.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

STEP = Path(__file__).with_name('benchmark_step.py')


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('configs', nargs='+', help='config files of trainings')
    parser.add_argument('--out', required=True, help='folder of the results')
    parser.add_argument('--repeats', default='10', help='timed steps of each, at least 10')
    parser.add_argument('--synthetic', action='store_true', help='random images and labels')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='for all configs'
    )
    return parser.parse_args()


def measured(config: str, args: argparse.Namespace) -> Dict[str, Any]:
    """Result of a config, from its file or from a process of its own.

    Raises:
        FileNotFoundError: If the config does not exist.
        ValueError: If the benchmark fails.
    """
    if not Path(config).is_file():
        raise FileNotFoundError(f'there is no config {config}')
    folder = Path(args.out) / Path(config).stem
    path = folder / 'benchmark.json'
    if not path.is_file():
        command = [sys.executable, str(STEP), config, '--out', str(folder)]
        command += ['--repeats', args.repeats, *(['--synthetic'] if args.synthetic else [])]
        command += ['--cfg-options', *args.cfg_options] if args.cfg_options else []
        print(f'{config} ...', flush=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not path.is_file():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise ValueError(f'{config}: the benchmark failed: {"".join(last)}')
    return json.loads(path.read_text())


def main() -> None:
    args = parse_args()
    stems = [Path(config).stem for config in args.configs]
    if len(set(stems)) < len(stems):
        raise ValueError('two configs have the same name, so that one would replace the other')
    results: List[Dict[str, Any]] = [measured(config, args) for config in args.configs]
    from mmseg_ctt.lab.benchmark.methods import Cost, print_costs, save_costs

    costs = sorted(map(Cost.of, results), key=lambda cost: cost.step)
    print_costs(costs)
    out = Path(args.out)
    (out / 'methods.json').write_text(
        json.dumps([cost._asdict() for cost in costs], indent=2) + '\n'
    )
    title = f'one step of each method, {results[0]["machine"]["device_name"]}'
    save_costs(out / 'methods.png', costs, title)
    print(f'methods.json and methods.png: {out}')


if __name__ == '__main__':
    run(main)
