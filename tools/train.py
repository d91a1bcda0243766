# Copyright (c) mmseg_ctt contributors.
import argparse

from _common import add_arguments, check_file, load_config, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a segmentor.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; without a value from the latest one in '
        'the work dir, or from the beginning while there is none',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    add_arguments(parser)
    return parser.parse_args()


def set_resume(cfg, resume: str) -> None:
    """Point the runner at a checkpoint; ``load_from`` serves for the start only."""
    from mmseg_ctt.engine.resume import find_whole_checkpoint

    if resume == 'auto':
        resume = find_whole_checkpoint(cfg.work_dir)
    else:
        check_file(resume, 'checkpoint')
    if resume is not None:
        cfg.resume, cfg.load_from = True, resume


def set_amp(cfg) -> None:
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
    from mmengine.runner import Runner
    from mmseg.registry import RUNNERS

    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    runner.train()


if __name__ == '__main__':
    run(main)
