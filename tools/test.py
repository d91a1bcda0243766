# Copyright (c) mmseg_ctt contributors.
import argparse
from typing import TYPE_CHECKING

from _common import add_arguments, check_file, described, load_config, run

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    parser = described('Test a segmentor.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument(
        '--out', help='folder for the predicted label images and the scores of volumes'
    )
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a picture is shown')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_arguments(parser)
    return parser.parse_args()


def set_pictures(cfg: 'Config', args: argparse.Namespace) -> None:
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise ValueError(
            '--show and --show-dir need a hook in the config: '
            'default_hooks.visualization=dict(type="SegVisualizationHook")'
        )
    hook = cfg.default_hooks.visualization
    hook.update(draw=True, show=args.show, wait_time=args.wait_time)
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
