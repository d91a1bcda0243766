# Copyright (c) mmseg_ctt contributors.
import argparse
import re
from typing import TYPE_CHECKING

from _common import add_arguments, check_file, described, load_config, run
from _refusals import refuse_replaced, refuse_unused

if TYPE_CHECKING:
    from mmengine.config import Config

WAIT_TIME = 2
OUTPUT_DIR = re.compile(r'test_evaluator\.(\d+\.)?output_dir')  # of one metric, or of a list


def parse_args() -> argparse.Namespace:
    parser = described('Test a segmentor.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument(
        '--out', help='new folder for the predicted label images and the scores of volumes'
    )
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='new folder for pictures of the predictions')
    parser.add_argument(
        '--wait-time', type=float, help=f'seconds a picture is shown; default: {WAIT_TIME}'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace files in the folders of outputs'
    )
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_arguments(parser)
    return parser.parse_args()


def check_args(args: argparse.Namespace) -> None:
    """Refuse arguments that would be unused, and folders with outputs of another test."""
    if args.show and args.show_dir:
        raise ValueError('--show shows the pictures and --show-dir writes them: give one of them')
    if not args.show:
        refuse_unused(args, ('wait_time',), 'no window is shown without --show')
    replaced = dict.fromkeys(('load_from', 'resume'), 'CHECKPOINT')
    if args.show_dir:
        replaced['visualizer.save_dir'] = '--show-dir'
    if args.out:
        outputs = filter(OUTPUT_DIR.fullmatch, args.cfg_options or ())
        replaced.update(dict.fromkeys(outputs, '--out'))
    refuse_replaced(args.cfg_options, replaced)
    if args.overwrite and not (args.out or args.show_dir):
        raise ValueError('--overwrite is for --out and --show-dir: name a folder, or remove it')
    import mmseg_ctt  # noqa: F401, before anything imports mmseg
    from mmseg_ctt.engine.out_paths import check_new_folder

    for folder in filter(None, (args.out, args.show_dir)):
        if not args.overwrite:
            check_new_folder(folder, '--overwrite')


def set_pictures(cfg: 'Config', args: argparse.Namespace) -> None:
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise ValueError(
            '--show and --show-dir need a hook in the config: '
            'default_hooks.visualization=dict(type="SegVisualizationHook")'
        )
    hook = cfg.default_hooks.visualization
    wait_time = WAIT_TIME if args.wait_time is None else args.wait_time
    hook.update(draw=True, show=args.show, wait_time=wait_time)
    hook.setdefault('interval', 1)  # the default of mmseg writes one picture of 50
    if args.show_dir:
        cfg.visualizer.save_dir = args.show_dir


def set_tta(cfg: 'Config') -> None:
    from mmseg_ctt.datasets.wrappers import with_pipeline

    for key in ('tta_model', 'tta_pipeline'):
        if key not in cfg:
            raise ValueError(f'--tta needs {key} in the config')
    cfg.test_dataloader.dataset = with_pipeline(cfg.test_dataloader.dataset, cfg.tta_pipeline)
    cfg.model = dict(**cfg.tta_model, module=cfg.model)


def set_output(cfg: 'Config', folder: str) -> None:
    evaluators = cfg.test_evaluator
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    writing = [
        evaluator
        for evaluator in evaluators
        if 'output_dir' in evaluator or evaluator.type in ('IoUMetric', 'VolumeMetric')
    ]
    if not writing:
        raise ValueError('--out: no metric of test_evaluator writes predictions; leave it out')
    for evaluator in writing:
        evaluator.output_dir = folder


def main() -> None:
    args = parse_args()
    check_file(args.checkpoint, 'checkpoint')
    check_args(args)
    cfg = load_config(args)
    from mmseg_ctt.engine.option_checks import check_evaluated

    check_evaluated(cfg)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.show or args.show_dir:
        set_pictures(cfg, args)
    if args.tta:
        set_tta(cfg)
    if args.out is not None:
        set_output(cfg, args.out)
    from mmengine.runner import Runner

    Runner.from_cfg(cfg).test()


if __name__ == '__main__':
    run(main)
