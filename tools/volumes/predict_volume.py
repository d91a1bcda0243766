# Copyright (c) mmseg_ctt contributors.
"""Predict whole volumes, slice by slice, into NIfTI files with the geometry of their inputs.

python tools/volumes/predict_volume.py CONFIG CHECKPOINT images/ --list test.txt --out predicted

Inputs are .nii, .nii.gz, .npy, .npz and .h5 files, and folders of them. Values, plane and context
of the slices, the end of file names and the array of .npz and .h5 files are those of the config's
test data set (img_suffix, image_key). All inputs are read and checked before the
first output is written. Started again, finished cases are skipped; predictions of other settings
are refused. Volumes without geometry (.npy, .npz, .h5) become .npy files.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, add_cfg_options, check_file, described, given, read_config, run  # noqa: E402

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmseg_ctt.deploy.volumes import Case, PredictionFolder, PredictionOptions


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config of the run')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('inputs', nargs='+', metavar='input', help='volume, or folder of volumes')
    parser.add_argument('--out', required=True, help='folder for the labels')
    parser.add_argument('--list', help='list of the names of some of the inputs, one a line')
    parser.add_argument(
        '--member',
        nargs='+',
        default=[],
        help='student0, teacher0, ..., ensemble, mean-student, mean-teacher, or all; several have '
        "a folder each; default: the config's model.test_cfg.predict_on",
    )
    parser.add_argument('--plane', choices=('x', 'y', 'z'), help='default: of the test data set')
    parser.add_argument('--context', type=int, choices=(1, 3), help='slices that are channels')
    pair = dict(nargs=2, type=float, metavar=('LOW', 'HIGH'))
    parser.add_argument('--window', **pair, help='values that become 0 and 255')
    parser.add_argument('--percentiles', **pair, help='percentiles that become 0 and 255')
    size = dict(nargs=2, type=int, metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--crop-size', **size, help='predict by sliding windows of this size')
    parser.add_argument('--stride', **size, help='steps of the windows; default: half a window')
    parser.add_argument('--batch-size', type=int, help='slices in one pass; default: 8')
    parser.add_argument(
        '--largest-component',
        **FLAG,
        help='keep the largest connected component of each class; the rest becomes class 0',
    )
    parser.add_argument('--probabilities', help='folder for float16 arrays (classes, x, y, z)')
    parser.add_argument('--device', help='such as cpu or cuda:0; default: a GPU where there is one')
    parser.add_argument('--overwrite', **FLAG, help='replace existing outputs')
    add_cfg_options(parser)
    return parser.parse_args()


def options_of(args: argparse.Namespace, cfg: 'Config') -> 'PredictionOptions':
    from mmseg_ctt.deploy.volumes import PredictionOptions, slice_settings

    slices = slice_settings(cfg, **given(args, ('plane', 'context', 'window', 'percentiles')))
    options = PredictionOptions(
        slices, **given(args, ('batch_size', 'crop_size', 'stride', 'largest_component'))
    )
    options.check()
    return options


def folders_of(
    args: argparse.Namespace,
    cfg: 'Config',
    members: List[Optional[str]],
    cases: List['Case'],
    options: 'PredictionOptions',
) -> List['PredictionFolder']:
    """A checked folder for each member, below that of the arguments where there are several."""
    from mmseg_ctt.deploy.volumes import PredictionFolder, check_outside, prediction_settings

    out = Path(args.out)
    kept = None if args.probabilities is None else Path(args.probabilities)
    for folder in filter(None, (out, kept)):
        check_outside(folder, args.inputs)
    if kept is not None and out.resolve() in (kept.resolve(), *kept.resolve().parents):
        raise ValueError('--probabilities must be a folder outside --out, which holds labels')
    folders = []
    for member in members:
        below = member if len(members) > 1 and member else ''
        settings = prediction_settings(cfg, args.checkpoint, member, options, kept is not None)
        made = PredictionFolder(
            out / below, settings, cases, None if kept is None else kept / below
        )
        made.check(**given(args, ('overwrite',)))
        folders.append(made)
    return folders


def main() -> None:
    args = parse_args()
    check_file(args.checkpoint, 'checkpoint')
    cfg = read_config(args.config, args.cfg_options)
    from mmengine.device import get_device

    from mmseg_ctt.apis import load_model
    from mmseg_ctt.deploy.checkpoint import read_checkpoint
    from mmseg_ctt.deploy.volumes import (
        check_cases,
        chosen_members,
        find_cases,
        input_files,
        other_than_trained,
        predict_cases,
    )

    options = options_of(args, cfg)
    cases = find_cases(args.inputs, args.list, input_files(cfg))
    checkpoint = read_checkpoint(args.checkpoint)
    members = chosen_members(cfg, checkpoint['state_dict'], args.member)
    folders = folders_of(args, cfg, members, cases, options)
    pending = {case for folder in folders for case in folder.pending}
    check_cases([case for case in cases if case in pending], options.slices)
    warning = other_than_trained(cfg, options.slices, checkpoint['meta'])
    if warning:
        print(f'WARNING: {warning}', flush=True)
    for member, folder in zip(members, folders):
        if folder.finished:
            print(f'{folder.folder}: {len(folder.finished)} of {len(cases)} cases are finished')
        if not folder.pending:
            continue
        model = load_model(cfg, args.checkpoint, member, args.device or get_device())
        folder.start(model.dataset_meta['classes'], **given(args, ('overwrite',)))
        predict_cases(model, folder, options, lambda line: print(line, flush=True))


if __name__ == '__main__':
    run(main)
