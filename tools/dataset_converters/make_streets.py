# Copyright (c) mmseg_ctt contributors.
"""Generate the street scenes, a data set for experiments without a download.

The files depend on the seed and the sizes only::

    python tools/dataset_converters/make_streets.py --out data/streets

A complete data set with the same settings is kept, and an interrupted one is drawn again. Any other
is replaced with --force alone; lists of your own in OUT/splits stay.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, answer_help, described, errors_in_one_line, given, positive, run  # noqa: E402

SETTINGS = dict(  # of the data set, and their help
    seed='not negative; default: 0',
    train='training images; default: 400',
    val='validation images; default: 100',
    height='default: 128',
    width='default: 192',
)


def parse_args() -> argparse.Namespace:
    """Parse the command line.

    Returns:
        argparse.Namespace: The arguments.
    """
    parser = described('Generate street scenes.')
    root = os.environ.get('STREETS_ROOT') or 'data/streets'
    parser.add_argument(
        '--out', type=Path, default=Path(root), help='default: $STREETS_ROOT, or data/streets'
    )
    for name, text in SETTINGS.items():
        parser.add_argument(f'--{name}', type=int, help=text)
    parser.add_argument('--workers', type=positive, help='processes; default: 2')
    parser.add_argument('--force', **FLAG, help='replace a finished data set in OUT')
    return parser.parse_args()


answer_help(parse_args)

with errors_in_one_line():
    import numpy as np

    from mmseg_ctt.datasets.split_files import write_split
    from mmseg_ctt.datasets.splits import (
        num_from_fraction,
        random_split,
        sequence_split,
        write_drawn,
    )
    from mmseg_ctt.datasets.streets_layout import CLASSES
    from mmseg_ctt.lab.street_scenes.drives import DRIVES
    from mmseg_ctt.lab.street_scenes.generate import (
        Settings,
        generate,
        is_complete,
        prepare,
        write_meta,
    )

FRACTIONS = ('1/16', '1/8', '1/4')
SEEDS = (0, 1, 2)
# Fewer images may lack a class.
MIN_LABELED = 8
OWN_SPLITS = (  # those of write_splits
    *(f'{fraction.replace("/", "_")}/seed{seed}' for fraction in FRACTIONS for seed in SEEDS),
    *(f'seq_{drive.name}' for drive in DRIVES),
    'all',
)


def write_splits(folder: Path, stems: List[str], presence: np.ndarray) -> None:
    """Write random splits, a split per drive, and the list of all images.

    Random splits of less than ``MIN_LABELED`` labelled images are left out.

    Args:
        folder (Path): Folder of the splits.
        stems (list[str]): N stems.
        presence (np.ndarray): bool ``(N, K)``.
    """
    source = str(folder), stems, presence
    splits = [
        random_split(*source, fraction, seed, CLASSES)
        for fraction in FRACTIONS
        if num_from_fraction(fraction, len(stems)) >= MIN_LABELED
        for seed in SEEDS
    ]
    splits += [sequence_split(*source, [drive.name], CLASSES) for drive in DRIVES]
    write_drawn(splits)
    write_split(folder / 'all', stems, [], dict(kind='all'))


def make(args: argparse.Namespace) -> None:
    """Generate the data set unless it is complete already.

    Args:
        args (argparse.Namespace): Arguments of the tool.
    """
    settings = Settings(**given(args, SETTINGS))
    if not args.force and is_complete(args.out, settings):
        print(f'{args.out}: complete already')
        return
    prepare(args.out, settings, OWN_SPLITS, **given(args, ('force',)))
    meta, stems, presence = generate(args.out, settings, **given(args, ('workers',)))
    write_splits(args.out / 'splits', stems, presence)
    # Last, so that an interrupted run counts as incomplete.
    write_meta(args.out, meta)
    print(f'{args.out}: {settings.train} training and {settings.val} validation images')


def main() -> None:
    make(parse_args())


if __name__ == '__main__':
    run(main)
