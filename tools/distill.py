# Copyright (c) mmseg_ctt contributors.
"""Distil a trained run into a small network: labels of the run for all unlabelled images.

python tools/distill.py CONFIG CHECKPOINT --model mobilenetv2 --baseline
python tools/distill.py CONFIG CHECKPOINT --member ensemble --student other_config.py

The member of CONFIG and CHECKPOINT that predicts, or --member, labels all unlabelled images of
CONFIG. Pixels below --confidence-threshold are ignored. The small network is trained on the labels
and these pseudo-labels, for as long as CONFIG says: --cfg-options sizes.max_iters=N. At the end a
table compares mIoU on the test images, numbers of parameters and seconds an image of teacher and
small network; with --baseline the small network is also trained on the labels alone. The same
command with --baseline adds that to a distillation without it.

The small network is that of --student, a config with the same classes, or --model: CONFIG with
method 'supervised' and another segmentor, by its name in new_run.py (mobilenetv2, segformer-b0), as
a config of mmseg (mmseg::...), or as any file with a model.

Safe to stop and to start again at any moment. tools/self_train.py takes the same settings in a
config: self_training=dict(type='Distillation', teacher_config=..., teacher_checkpoint=..., member,
confidence_threshold, baseline, timed_images).
"""

import argparse
from pathlib import Path
from typing import Any, Dict, Optional

from _common import FLAG, add_cfg_options, check_file, described, given, positive, read_config, run
from _refusals import refuse_two_folders
from self_train import run_rounds

SETTINGS = ('member', 'confidence_threshold', 'baseline', 'timed_images')
USUAL_FILE = 'models/deeplabv3plus_mobilenetv2'  # of the network that the folder base has


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config of the run that labels')
    parser.add_argument('checkpoint', help='its checkpoint, a file or URL')
    small = parser.add_mutually_exclusive_group(required=True)
    small.add_argument('--student', help='config of the small network')
    small.add_argument('--model', help='segmentor of the small network, in the config of the run')
    parser.add_argument('--member', help='student0, teacher0, ..., or ensemble; default: as tested')
    parser.add_argument('--confidence-threshold', type=float, help='default: 0, all pixels count')
    parser.add_argument('--baseline', **FLAG, help='train on the labels alone as well')
    parser.add_argument('--timed-images', type=int, help='images of the times; default: 20')
    parser.add_argument(
        '--work-dir',
        help='default: work_dirs/<name of the config>_distilled, not the work_dir in a config',
    )
    parser.add_argument('--threads', type=positive, help='default: OMP_NUM_THREADS, else all cores')
    parser.add_argument('--gpu', help='CUDA_VISIBLE_DEVICES of the trainings')
    add_cfg_options(parser)
    return parser.parse_args()


def segmentor_of(name: str) -> str:
    """Config whose segmentor is meant by ``--model``."""
    if '::' in name or Path(name).is_file():
        return name
    from mmseg_ctt.lab.new_run.networks import USUAL, network

    network(name)  # an unknown name is an error that lists the others
    return f'mmseg_ctt::_base_/{USUAL_FILE if name == USUAL else f"networks/{name}"}.py'


def check_options(options: Dict[str, Any], model: Optional[str]) -> None:
    """Refuse changes of the config that the arguments replace."""
    for key in options:
        if model and key in ('method', 'segmentor_from'):
            raise ValueError(
                f'--cfg-options {key} and --model {model} both say what the small network is: '
                f'leave {key} out, or name a config of it by --student'
            )
        if key.partition('.')[0] == 'self_training':
            raise ValueError(
                f'--cfg-options {key} would be unused: settings of the distillation are arguments '
                'of this program, such as --member'
            )


def main() -> None:
    args = parse_args()
    check_file(args.checkpoint, 'checkpoint')
    from mmseg_ctt.engine.start_config import find_config

    teacher = str(Path(find_config(args.config)).resolve())
    checkpoint = args.checkpoint
    if '://' not in checkpoint:
        checkpoint = str(Path(checkpoint).resolve())
    refuse_two_folders(args)
    options: Dict[str, Any] = dict(args.cfg_options or {})
    check_options(options, args.model)
    if args.model:
        options = dict(method='supervised', segmentor_from=segmentor_of(args.model), **options)
    cfg = read_config(args.student or teacher, options)
    cfg.self_training = dict(
        type='Distillation',
        teacher_config=teacher,
        teacher_checkpoint=checkpoint,
        **given(args, SETTINGS),
    )
    name = Path(args.student or args.config).stem
    # the work_dir of a config is the folder of another run: of the teacher, or the network alone
    folder = args.work_dir or options.get('work_dir')
    run_rounds(cfg, folder or Path('work_dirs', f'{name}_distilled'), args)


if __name__ == '__main__':
    run(main)
