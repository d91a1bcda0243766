# Copyright (c) mmseg_ctt contributors.
"""Make masks of class maps, by a rule, for the training of an ordinary segmentor.

    python tools/weak/make_pseudo_labels.py MAPS --images DIR --out DIR
        [--rule threshold|none|auxsegnet|group_wsss] [--saliency DIR] [settings of the rule]
        [--refine pamr|crf] [--truth DIR [--truth-meta meta.json]] [--jobs N]
    python tools/weak/make_pseudo_labels.py MAPS --images DIR --truth DIR --thresholds 0.1 0.2 ...

MAPS is a folder of tools/weak/make_cams.py, --images the folder of its images. DIR gets

- masks/               class ids, 255 is ignored
- confidence/          0 to 255 for 0 to 1, a weight of the pixel for training (LoadMaps)
- pseudo_labels.json   rule and settings
- counts.json          pixels and images of each class
- meta.json            names of the classes (PseudoLabelDataset)
- manifest.json        images and masks (SelfTrainingDataset)

Called again, it goes on where it was stopped; a file that exists is never changed. --truth prints
the IoU of each class with masks that nothing else uses. --thresholds prints it for several levels
of the rule and writes nothing: a level that is chosen by it was chosen with masks.

Rules: threshold, the highest map or a constant background; none, the highest map (data without a
background); auxsegnet and group_wsss, with saliency, as in their released code. Formulae:
docs/methods/cam.md.
The dense CRF needs pip install 'mmseg_ctt[crf]'; pamr needs nothing.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, given, run  # noqa: E402
from _refusals import refuse_unused  # noqa: E402

LEVELS = dict(
    background='threshold: level of the background; default: 0.3',
    object_level='auxsegnet: of the class maps; default: 0.2',
    salient_level='auxsegnet, group_wsss: of the saliency; default: 0.06 and 0.12549 (32/255)',
    conflict_level='group_wsss: two classes above it are a conflict; default: 0.9',
    certain_level='group_wsss: such a map is no background; default: 0.8',
    min_foreground='group_wsss: part of an image that must be labelled; default: 0.01',
)


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('maps', metavar='MAPS', help='folder of class maps')
    parser.add_argument('--images', required=True, metavar='DIR', help='folder of the images')
    parser.add_argument('--out', metavar='DIR', help='folder of the masks')
    parser.add_argument('--rule', default='threshold', help='default: threshold')
    parser.add_argument('--saliency', metavar='DIR', help='folder of saliency maps, PNG of 8 bit')
    parser.add_argument('--refine', help='pamr, crf or none; default: none')
    parser.add_argument('--truth', metavar='DIR', help='folder of masks, for scores alone')
    parser.add_argument(
        '--truth-meta', metavar='FILE', help='meta.json of their classes; default: the same ids'
    )
    parser.add_argument(
        '--thresholds', nargs='+', type=float, metavar='T', help='print the scores of each level'
    )
    parser.add_argument('--jobs', type=int, default=1, help='processes; default: 1')
    group = parser.add_argument_group('settings of the rules')
    for name, text in LEVELS.items():
        group.add_argument(f'--{name.replace("_", "-")}', type=float, help=text)
    group.add_argument(
        '--no-min-max',
        dest='min_max',
        action='store_false',
        default=None,
        help='group_wsss: take the maps as they are',
    )
    return parser.parse_args()


def check_outputs(args: argparse.Namespace) -> None:
    if args.thresholds and args.out:
        raise ValueError('--thresholds prints scores and writes nothing: leave --out out')
    if args.thresholds and not args.truth:
        raise ValueError('--thresholds compares with masks: name their folder by --truth')
    if not args.thresholds and not args.out:
        raise ValueError('name the folder of the masks by --out')
    if args.truth_meta and not args.truth:
        raise ValueError('--truth-meta is of --truth: give both or none')


def open_job(args: argparse.Namespace) -> Any:
    """Maps, images and truth of the arguments."""
    from mmseg_ctt.datasets.folder import read_meta
    from mmseg_ctt.datasets.image_files import find_images
    from mmseg_ctt.weak_labels.class_map_files import open_class_maps
    from mmseg_ctt.weak_labels.label_quality import open_truth
    from mmseg_ctt.weak_labels.pseudo_labels import PseudoLabelJob

    maps = open_class_maps(args.maps)
    images = {stem: str(Path(args.images, name)) for stem, name in find_images(args.images).items()}
    truth = None
    if args.truth:
        names: Optional[List[str]] = None
        if args.truth_meta:
            if not Path(args.truth_meta).is_file():
                raise FileNotFoundError(f'--truth-meta {args.truth_meta} does not exist')
            names = read_meta(Path(args.truth_meta))['classes']
        truth = open_truth(Path(args.truth), maps.stems, maps.classes, maps.has_background, names)
        scored = f'{len(truth.files)} of {len(maps.stems)} images'
        print(f'scores are of the {scored} that have a mask in {args.truth}')
    settings = given(args, (*LEVELS, 'min_max'))
    more = given(args, ('saliency', 'refine'))
    return PseudoLabelJob(maps, images, args.rule, settings, truth=truth, **more)


def print_sweep(job: Any, args: argparse.Namespace) -> None:
    from mmseg_ctt.weak_labels import RULES
    from mmseg_ctt.weak_labels.label_quality import label_quality
    from mmseg_ctt.weak_labels.label_sweep import sweep
    from mmseg_ctt.weak_labels.pseudo_labels import check_job

    check_job(job)
    level = RULES[job.rule].level
    if level is None:
        raise ValueError(f'the rule {job.rule} has no level: leave --thresholds out')
    refuse_unused(args, (level,), '--thresholds gives its values')
    found = sweep(
        job, level, args.thresholds, args.jobs, report=lambda line: print(line, flush=True)
    )
    print(f'| {level} | mIoU | mIoU of labelled pixels | labelled |\n| --- | --- | --- | --- |')
    for value, counts in zip(args.thresholds, found):
        means = (*label_quality(counts).means, counts[:, :-1].sum() / counts.sum())
        print(f'| {value:g} | {" | ".join(f"{100 * mean:.1f}" for mean in means)} |')


def main() -> None:
    args = parse_args()
    check_outputs(args)
    from mmseg_ctt.weak_labels.label_quality import quality_table
    from mmseg_ctt.weak_labels.pseudo_labels import make_pseudo_labels

    job = open_job(args)
    if args.thresholds:
        print_sweep(job, args)
        return
    counts = make_pseudo_labels(
        job, Path(args.out), args.jobs, report=lambda line: print(line, flush=True)
    )
    if counts is not None:
        print(*quality_table(job.maps.classes, counts), sep='\n')
    print(f'{len(job.maps.stems)} masks: {args.out}')


if __name__ == '__main__':
    run(main)
