# Copyright (c) mmseg_ctt contributors.
import argparse
import os
import sys
from typing import List

from _common import add_arguments, described, load_config, run
from _refusals import refuse_replaced, refuse_unused

AUTO = 'auto'


def parse_args() -> argparse.Namespace:
    parser = described('Train a segmentor.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=AUTO,
        metavar='CHECKPOINT',
        help='resume from this checkpoint; without a value from the latest one in the work dir, '
        'or start from the beginning if it has none',
    )
    parser.add_argument(
        '--resume-else',
        metavar='CHECKPOINT',
        help='with --resume: resume from this checkpoint while the work dir has none; for jobs '
        'that are started again',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const=AUTO,
        choices=('bf16', 'fp16', AUTO),
        help='automatic mixed precision: bf16 on a CPU or GPU, fp16 on a GPU; without a value '
        'bf16 if the optimiser wrapper of the config has it, else fp16',
    )
    add_arguments(parser)
    return parser.parse_args(_with_values(sys.argv[1:]))


def _with_values(given: List[str]) -> List[str]:
    """Arguments whose ``--amp`` does not take a config after it for its value."""
    ends = [*given[1:], '']
    return [
        f'--amp={AUTO}' if word == '--amp' and end.endswith('.py') else word
        for word, end in zip(given, ends)
    ]


def check_resume(args: argparse.Namespace) -> None:
    """Refuse what ``--resume`` replaces, and what needs it."""
    if args.resume != AUTO:
        refuse_unused(args, ('resume_else',), 'it goes with --resume without a checkpoint')
    if args.resume is not None:
        options = dict(args.cfg_options or {})
        if args.resume == AUTO and options.get('resume') is True:
            del options['resume']  # they say the same
        keys = ('resume',) if args.resume == AUTO else ('resume', 'load_from')
        refuse_replaced(options, dict.fromkeys(keys, '--resume'))


def main() -> None:
    args = parse_args()
    check_resume(args)
    cfg = load_config(args)
    from mmseg_ctt.engine.precision import set_amp
    from mmseg_ctt.engine.recorded_config import check_work_dir
    from mmseg_ctt.engine.start_config import set_resume

    if args.amp:
        set_amp(cfg, args.amp if args.amp != AUTO else True)
    if args.resume is not None:
        set_resume(cfg, args.resume, args.resume_else)
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
