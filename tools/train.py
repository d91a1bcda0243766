# Copyright (c) mmseg_ctt contributors.
import argparse
import os
import sys

from _common import add_arguments, load_config, run


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


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    from mmseg_ctt.engine.recorded_config import check_work_dir
    from mmseg_ctt.engine.start_config import set_amp, set_resume

    if args.amp:
        set_amp(cfg)
    if args.resume is not None:
        set_resume(cfg, args.resume)
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
