# Copyright (c) mmseg_ctt contributors.
"""Self-training in rounds of training and labelling, by the recipe that a config names.

python tools/self_train.py configs/crest/crest_deeplabv3plus_streets_1-8.py
python tools/self_train.py CONFIG --work-dir work_dirs/plain --cfg-options self_training.alpha=0
python tools/self_train.py CONFIG --work-dir work_dirs/plus --cfg-options self_training.align=True
python tools/self_train.py configs/dmpct/dmpct_deeplabv3plus_mobilenetv2_la3d.py
python tools/self_train.py configs/auxsegnet/auxsegnet_mobilenetv2_msrc21.py
python tools/self_train.py configs/wilson/wilson_deeplabv3plus_mobilenetv2_msrc21.py

alpha=0 is plain self-training, align=True CReST+. A folder belongs to one config and its settings;
without --work-dir its name ends in method, segmentor_from and self_training.method
where --cfg-options has them.

CONFIG is any config of this package with both image lists, the supervised baseline too; AuxSegNet
has its own, with tags. Its optional `self_training` dict holds the settings of the recipe, and its
name:

type='CReST' (default): train, label the unlabelled images, select some per class, repeat. Settings:
generations, alpha, mode, confidence_threshold, min_area, count, align, low_temperature, member.
Every generation is a complete training in a folder of its own, genN of the work dir; tools/test.py
tests it with the config.py in that folder.

type='MultiPlanar': a network for each plane of the volumes, whose fused predictions label the
unlabelled volumes for the next round. Settings: rounds, planes, fusion, tie, clean, agreement_mask,
init, member. Trainings are in round<N>/<plane>, results in results.csv of the work dir.

type='AuxSegNet': from image-level tags to a network. A classifier, whose class maps and a saliency
map of each image give the first pseudo-labels; then rounds of training and of pseudo-labels that
are refined by the affinity that was learnt. Settings: rounds, saliency, initial, classifier,
scales, flip, object_level, salient_level, refined_salient_level, saliency_refinement, truth.
Trainings are in round<N>, results in results.csv, the last pseudo-labels in final_labels of the
work dir.

type='ClassIncremental' (configs of configs/wilson): a step with masks, then steps of new classes
that learn from tags. Settings: steps, labeled, setting, method, first_checkpoint, first_training.
Trainings are in step<N>, scores of old, new and all classes in results.csv of the work dir.

type='Distillation': a trained run labels the images for a small network; see tools/distill.py,
which writes these settings. Results are in results.md of the work dir.

Safe to stop and to start again at any moment; a training that is stopped saves a checkpoint.
"""

import argparse
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Union

from _common import add_cfg_options, described, positive, read_config, run
from _refusals import refuse_set_by_rounds, refuse_two_folders

if TYPE_CHECKING:
    from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = described(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='default: work_dirs/<config name>, see above')
    parser.add_argument('--threads', type=positive, help='default: OMP_NUM_THREADS, else all cores')
    parser.add_argument('--gpu', help='CUDA_VISIBLE_DEVICES of the training')
    add_cfg_options(parser)
    args = parser.parse_args()
    refuse_two_folders(args)
    cfg = read_config(args.config, args.cfg_options)
    if 'model' not in cfg or 'train_dataloader' not in cfg:
        raise ValueError(f'the config {args.config} has no model or no train_dataloader')
    run_rounds(cfg, args.work_dir or usual_folder(cfg, args), args)


def usual_folder(cfg: 'Config', args: argparse.Namespace) -> Path:
    """Work folder of a start that names none; that of earlier versions where it has this run."""
    from mmseg_ctt.engine.start_config import default_work_dir
    from mmseg_ctt.self_training import build_rounds

    options = args.cfg_options or {}
    folder = default_work_dir(args.config, options, cfg.get('work_dir'))
    method = options.get('self_training.method')
    if method and 'work_dir' not in options and not folder.endswith(f'_{method}'):
        folder = f'{folder}_{method}'
    former = Path('work_dirs', Path(args.config).stem)
    if former != Path(folder) and not build_rounds(cfg, Path(folder), ROOT).holds_this_run():
        if build_rounds(cfg, former, ROOT).holds_this_run():
            print(f'goes on in {former}, where an earlier version began this run')
            return former
    return Path(folder)


def run_rounds(cfg: 'Config', work_dir: Union[str, Path], args: argparse.Namespace) -> None:
    """Run the recipe of a config until it is done, or the program is told to stop."""
    from mmseg_ctt.engine.processes import (
        ChildFailed,
        Resources,
        Stopped,
        default_threads,
        stopped_by_signals,
    )
    from mmseg_ctt.self_training import build_rounds

    refuse_set_by_rounds(args.cfg_options)
    folder = Path(work_dir)
    resources = Resources(args.threads or default_threads(), args.gpu, threading.Event())
    training = build_rounds(cfg, folder, ROOT, lambda line: print(line, flush=True))
    try:
        with stopped_by_signals(resources.stop):
            training.run(resources)
    except Stopped:
        print('stopped; start again to go on')
        sys.exit(1)
    except ChildFailed as error:
        raise ValueError(
            f'a training ended with {error}: see the newest run.log in {folder}'
        ) from None
    print('done:', '\n      '.join(training.closing_lines()))


if __name__ == '__main__':
    run(main)
