# Copyright (c) mmseg_ctt contributors.
import argparse
import os
import sys
from typing import TYPE_CHECKING, Optional

from _common import add_arguments, check_file, load_config, run

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a segmentor.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from this checkpoint; without a value from the latest one in the work dir, '
        'or start from the beginning if it has none',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    add_arguments(parser)
    return parser.parse_args()


def set_resume(cfg: 'Config', resume: str) -> None:
    """Set the checkpoint to resume from, in place of the ``load_from`` of a new run."""
    from mmseg_ctt.engine.resume import find_whole_checkpoint

    checkpoint: Optional[str] = resume
    if resume == 'auto':
        checkpoint = find_whole_checkpoint(cfg.work_dir)
    else:
        check_file(resume, 'checkpoint')
    if checkpoint is not None:
        cfg.resume, cfg.load_from = True, checkpoint


def set_amp(cfg: 'Config') -> None:
    from mmengine.device import get_device

    if get_device() == 'cpu':
        raise ValueError('--amp needs a GPU, and none is found: leave --amp out')
    if cfg.optim_wrapper.type not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(
            f'--amp cannot be combined with optim_wrapper.type='
            f'"{cfg.optim_wrapper.type}": use "OptimWrapper"'
        )
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    if args.amp:
        set_amp(cfg)
    if args.resume is not None:
        set_resume(cfg, args.resume)
    from mmseg_ctt.engine.recorded_config import check_work_dir

    check_work_dir(cfg)
    if cfg.get('self_training') and os.environ.get('RANK', '0') == '0':
        print(
            'WARNING: self_training is not read here, and one of its trainings is done: '
            'tools/self_train.py trains all of them',
            file=sys.stderr,
        )
    from mmengine.runner import Runner
    from mmseg.registry import RUNNERS

    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    runner.train()


if __name__ == '__main__':
    run(main)
