# Copyright (c) mmseg_ctt contributors.
"""Benchmark the time to the first resumed iteration, and the sampler, for growing sizes.

python tools/misc/benchmark_resume.py CONFIG [--iters 100 10000 1000000] [--stock 100]
python tools/misc/benchmark_resume.py --sampler

One iteration of CONFIG is trained and saved; the checkpoint is then set to each iteration of
--iters and resumed. --stock does the same with the loop of mmengine, which loads every past batch
again.
"""

import argparse
import copy
import sys
import tempfile
import time
import tracemalloc
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Optional, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, described, positive, read_config, run  # noqa: E402
from _refusals import refuse_replaced, refuse_unused  # noqa: E402

if TYPE_CHECKING:
    from mmengine.config import Config


ITERS = (100, 10_000, 1_000_000)
REPLACED = (  # of the config
    *('work_dir', 'resume', 'load_from', 'experiment_name', 'launcher'),
    *('train_cfg.max_iters', 'default_hooks.checkpoint.interval'),
)


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', nargs='?', help='config file')
    parser.add_argument(
        '--iters',
        type=positive,
        nargs='+',
        help=f'iterations to resume; default: {" ".join(map(str, ITERS))}',
    )
    parser.add_argument(
        '--stock', type=positive, nargs='+', help="iterations to resume with mmengine's loop"
    )
    parser.add_argument('--sampler', action='store_true', help='time and memory of the sampler')
    add_cfg_options(parser)
    args = parser.parse_args()
    if not args.config and not args.sampler:
        parser.error('give a CONFIG, or --sampler')
    return args


def check_args(args: argparse.Namespace) -> None:
    """Raise for arguments that would be unused."""
    if not args.config:
        refuse_unused(args, ('iters', 'stock', 'cfg_options'), '--sampler reads no config')
    refuse_replaced(args.cfg_options, dict.fromkeys(REPLACED, 'this tool'))


class Done(Exception):
    """The first iteration has ended."""


def first_iteration(
    cfg: 'Config', folder: Path, load_from: Optional[str] = None
) -> Tuple[float, int]:
    """Seconds from building the runner to the end of its first iteration, and its batch size."""
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    class Stop(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, *_: Any, **__: Any) -> None:
            raise Done

    cfg = copy.deepcopy(cfg)
    cfg.update(
        work_dir=str(folder),
        resume=load_from is not None,
        load_from=load_from,
        experiment_name=folder.name,
        launcher='none',
    )
    begin = time.perf_counter()
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Stop())
    try:
        runner.train()
    except Done:
        pass
    seconds, loader = time.perf_counter() - begin, runner.train_loop.dataloader
    if loader._iterator is not None:  # otherwise garbage collection waits for each worker
        loader._iterator._shutdown_workers()
    return seconds, loader.batch_size


def set_iteration(path: Path, iteration: int, draws: int) -> str:
    """Copy of a checkpoint as if it were written at an iteration."""
    import torch

    from mmseg_ctt.deploy.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(path)
    checkpoint['meta']['iter'] = iteration
    checkpoint['message_hub']['runtime_info'].update(
        draws=iteration * draws, iter=iteration, last_validation=iteration
    )
    for scheduler in checkpoint['param_schedulers']:
        scheduler.update(last_step=iteration, _global_step=iteration + 1)
    for buffer in checkpoint['message_hub']['log_scalars'].values():
        kept = min(iteration, 1000)  # SafeCheckpointHook.history
        for name in ('_log_history', '_count_history'):
            setattr(buffer, name, getattr(buffer, name)[-1:].repeat(kept))
    copied = path.with_name(f'dated_{iteration}.pth')
    torch.save(checkpoint, copied)
    return str(copied)


def benchmark_resume(cfg: 'Config', args: argparse.Namespace, folder: Path) -> None:
    cfg.default_hooks.checkpoint.interval = 1
    resumed, stock = args.iters or list(ITERS), args.stock or []
    cfg.train_cfg.max_iters = max(resumed + stock) + 1
    seconds, draws = first_iteration(cfg, folder / 'first')
    print(f'{"loop":20} {"iteration":>10} {"seconds":>8}')
    print(f'{cfg.train_cfg.type:20} {0:10} {seconds:8.2f}')
    saved = folder / 'first' / 'iter_1.pth'
    for kind, iterations in ((cfg.train_cfg.type, resumed), ('IterBasedTrainLoop', stock)):
        cfg.train_cfg.type = kind
        for iteration in iterations:
            checkpoint = set_iteration(saved, iteration, draws)
            seconds, _ = first_iteration(cfg, folder / f'{kind}{iteration}', checkpoint)
            print(f'{kind:20} {iteration:10} {seconds:8.2f}', flush=True)


def benchmark_sampler() -> None:
    from mmseg_ctt.datasets import LabeledUnlabeledSampler

    print(f'{"unlabelled":>12} {"us a draw":>10} {"peak kB":>8}')
    for exponent in range(3, 10, 2):
        data = SimpleNamespace(num_images=dict(labeled=100, unlabeled=10**exponent))
        tracemalloc.start()
        sampler = LabeledUnlabeledSampler(data, seed=0)
        sampler.advance_to(2 * 10**6)
        list(islice(sampler, 100))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        begin = time.perf_counter()
        for _ in islice(sampler, 20_000):
            pass
        seconds = (time.perf_counter() - begin) / 20_000
        print(f'{10**exponent:12,} {seconds * 1e6:10.1f} {peak / 1000:8.1f}')


def main() -> None:
    args = parse_args()
    check_args(args)
    if args.sampler:
        import mmseg_ctt  # noqa: F401

        benchmark_sampler()
    if args.config:
        cfg = read_config(args.config, args.cfg_options)
        with tempfile.TemporaryDirectory() as folder:
            benchmark_resume(cfg, args, Path(folder))


if __name__ == '__main__':
    run(main)
