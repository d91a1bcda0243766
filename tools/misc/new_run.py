# Copyright (c) mmseg_ctt contributors.
"""Look at a folder of images and masks, and write the configs of a run on it.

python tools/misc/new_run.py FOLDER [--method ctt-plus] [--model mobilenetv2] [--dry-run]

Prints what it finds, converts masks of colours or of 0 and 255, makes the lists, chooses sizes, and
writes FOLDER/runs/<method>.py and FOLDER/runs/supervised.py. A second call keeps what is there; an
option that asks for something else is an error, and needs --name NAME. Where the package is
installed: mim run mmseg_ctt new_run FOLDER
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, given, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('folder', metavar='FOLDER', help='folder of the data')
    parser.add_argument('--method', help='a name of configs/_base_/methods; default: ctt-plus')
    parser.add_argument(
        '--model',
        help='mobilenetv2 (default), resnet50, resnet101, segformer-b0 to segformer-b5, dinov2-s, '
        'dinov2-b',
    )
    parser.add_argument(
        '--size',
        nargs='+',
        type=int,
        metavar='PIXELS',
        help='width and height that images are resized to, or the longer side alone',
    )
    parser.add_argument(
        '--iterations',
        type=int,
        metavar='N',
        help='length of the run; default: 200 passes over the labelled images, at least 5000, at '
        'most 20000; 1500 on a CPU',
    )
    parser.add_argument('--dry-run', **FLAG, help='show all and write nothing')
    add_data_options(parser)
    return parser.parse_args()


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Options on folders, classes and lists, where they are not found out."""
    parser.add_argument('--images', help='folder of the images, where it is not found')
    parser.add_argument('--masks', help='folder of the masks')
    parser.add_argument('--suffix', help='end of the names of masks, such as _GT.png')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='in the order of their ids; default: by meta.json, labelmap.txt (lines '
        'name:red,green,blue::), _classes.csv or classes.txt in FOLDER',
    )
    parser.add_argument(
        '--palette', nargs='+', metavar='COLOUR', help='of each class: red,green,blue or grey'
    )
    parser.add_argument(
        '--ignore', nargs='+', metavar='COLOUR', help='of pixels without a label; 0: black'
    )
    parser.add_argument('--lists', help='folder with labeled.txt or train.txt, and val.txt')
    parser.add_argument(
        '--val',
        type=int,
        metavar='N',
        help='masked images that are kept for validation; default: a fifth, at most 100',
    )
    parser.add_argument(
        '--name', help='of another run of the folder, beside the first: runs/NAME, splits/NAME'
    )
    parser.add_argument(
        '--seed',
        type=int,
        metavar='N',
        help='draws the images that are kept for validation; default: 0',
    )


def main() -> None:
    args = parse_args()
    from mmseg_ctt.lab.new_run import new_run

    print(new_run(**given(args, vars(args))))


if __name__ == '__main__':
    run(main)
