# Copyright (c) mmseg_ctt contributors.
"""Fuse the masks of several raters, and say how far they agree.

    python tools/consensus/fuse_annotations.py IMAGES RATER_DIR RATER_DIR ... --out DIR
        [--method consensus|majority|staple|soft] [--num-classes K | --meta meta.json] [--jobs N]

IMAGES is a folder of images or of volumes (.nii.gz, .nii, .npy, .npz, .h5), RATER_DIR the folder of
masks of one rater, named like the images (a/b.png for a/b.jpg). A rater may lack masks of some
images, and 255 is a pixel that a rater did not annotate. All files are checked before one is
written, and an existing DIR is never changed. DIR gets

- masks/             fused masks, PNG or NIfTI with the header of the volume
- consensus_margin/  how clearly the raters prefer the class: a weight of the pixel for training,
                     PNG of 0 to 255 for 0 to 1, or NIfTI of float32
- completed/RATER/   with --completed: masks of each rater with missing pixels filled in
- probability/CLASS/ with --method soft: class probabilities
- pictures/          images in which raters differ most
- scores.json        agreement of the raters (Dice, kappa), self-consistency, settings

The consensus is a re-implementation from the abstract of arXiv 1612.02166; formulae beyond it are
ours (docs/methods/consensus.md). It needs scikit-learn: pip install 'mmseg_ctt[raters]'.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, given, not_negative, run  # noqa: E402

COLOURS = ((0, 0, 0), (6, 230, 230), (230, 150, 6), (230, 6, 120), (120, 230, 6), (60, 60, 230))


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('images', metavar='IMAGES', help='folder of images or volumes')
    parser.add_argument('raters', metavar='RATER_DIR', nargs='+', help='folder of masks of a rater')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the results')
    parser.add_argument('--method', help='consensus, majority, staple or soft; default: consensus')
    classes = parser.add_mutually_exclusive_group()
    classes.add_argument('--num-classes', type=int, default=2, help='default: 2')
    classes.add_argument('--meta', help='meta.json with names and colours of the classes')
    parser.add_argument('--names', nargs='+', help='names of the raters; default: of their folders')
    parser.add_argument('--suffix', help='end of the names of masks, such as _GT.png')
    parser.add_argument('--completed', **FLAG, help='write completed masks of raters')
    parser.add_argument(
        '--pictures',
        type=not_negative,
        default=8,
        help='pictures, where raters differ most; default: 8',
    )
    parser.add_argument('--jobs', type=int, default=1, help='processes; default: 1')
    add_fusion_arguments(parser)
    return parser.parse_args()


def add_fusion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the settings of the methods."""
    parser.add_argument(
        '--tie',
        help='majority, soft: class of a tie: lowest (default) id, that of the first rater, or '
        'ignore: 255',
    )
    group = parser.add_argument_group('consensus')
    group.add_argument('--rule', help='weights by pixel or rater; default: pixel')
    group.add_argument('--power', type=float, help='exponent of self-consistency; default: 2')
    group.add_argument('--smoothness', type=float, help='cost of borders; default: 0.3')
    group.add_argument('--neighbours', type=int, help='4 or 8 in images (default 4), 6 in volumes')
    group.add_argument(
        '--sigma', type=float, help='of intensities; default: deviation of the image'
    )
    group.add_argument('--trees', type=int, help='of each forest; default: 60')
    group.add_argument('--min-leaf', type=int, help='pixels of a leaf; default: 10')
    group.add_argument(
        '--max-pixels', type=int, help='pixels that train a forest, 0 for all; default: 20000'
    )
    group.add_argument(
        '--window', type=int, help='side of the mean of self-consistency; default: 7'
    )
    group.add_argument('--local-consistency', help='mean, neighbors or none; default: mean')
    group.add_argument('--gabor-entropy', **FLAG, help='entropy of oriented filters')
    group.add_argument('--scale', type=int, help='steps of a cost of 1 in the cut; default: 1000')
    group.add_argument('--seed', type=int, help='of the forests; default: 0')


def fusion_settings(args: argparse.Namespace) -> Any:
    """Settings of the methods; one that the chosen method does not use is an error."""
    from mmseg_ctt.label_fusion.consensus import ConsensusSettings
    from mmseg_ctt.label_fusion.fusion import FusionSettings

    consensus, others = given(args, ConsensusSettings._fields), given(args, ('method', 'tie'))
    settings = FusionSettings(consensus=ConsensusSettings(**consensus), **others)
    settings.check()
    unused = sorted({*consensus, *others} - set(settings.used))
    if unused:
        name = unused[0].replace('_', '-')
        raise ValueError(f'--method {settings.method} does not use --{name}: leave it out')
    return settings


def classes_of(args: argparse.Namespace) -> Tuple[List[str], List[Tuple[int, ...]]]:
    """Names and colours of the classes."""
    from mmseg_ctt.datasets.folder import read_meta

    meta: Dict[str, Any] = {}
    if args.meta is not None:
        if not Path(args.meta).is_file():
            raise FileNotFoundError(f'--meta {args.meta} does not exist')
        meta = read_meta(Path(args.meta))
    names = meta.get('classes') or [f'class{k}' for k in range(args.num_classes)]
    if not 2 <= len(names) <= 255:
        raise ValueError(f'masks of {len(names)} classes cannot be fused: give 2 to 255')
    colours = meta.get('palette') or [COLOURS[k % len(COLOURS)] for k in range(len(names))]
    return names, [tuple(colour) for colour in colours]


def main() -> None:
    args = parse_args()
    from mmseg_ctt.label_fusion.cases import find_cases, rater_names
    from mmseg_ctt.label_fusion.fuse_folders import FusionJob, fuse_folders
    from mmseg_ctt.label_fusion.pictures import draw_differences

    settings, (classes, palette) = fusion_settings(args), classes_of(args)
    raters = rater_names(args.raters, args.names)
    cases = find_cases(args.images, args.raters, args.suffix)
    job = FusionJob(cases, raters, classes, settings, Path(args.out), **given(args, ('completed',)))
    scores = fuse_folders(job, args.jobs, report=lambda line: print(line, flush=True))
    draw_differences(cases, scores, job.out, palette, args.pictures)
    print(*table(scores), f'written: {job.out}', sep='\n')


def table(scores: Dict[str, Any]) -> List[str]:
    """Agreement of the raters and their scores as Markdown."""
    classes = scores['classes']
    lines = [
        f"| raters | images | {' | '.join(f'Dice {name}' for name in classes)} | Cohen's kappa |",
        f'| --- | --- | {"--- | " * len(classes)}--- |',
    ]
    for row in scores['agreement']:
        dice = ' | '.join(shown(row['dice'][name]) for name in classes)
        lines.append(
            f'| {" and ".join(row["raters"])} | {row["images"]} | {dice} | '
            f'{shown(row["cohen_kappa"])} |'
        )
    for name, values in scores['raters'].items():
        consistency = values.get('self_consistency')
        more = '' if consistency is None else f', self-consistency {shown(consistency)}'
        lines.append(f'{name}: {values["masks"]} masks{more}')
    return lines


def shown(value: Any) -> str:
    return '-' if value is None else f'{value:.4f}'


if __name__ == '__main__':
    run(main)
