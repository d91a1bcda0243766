# Copyright (c) mmseg_ctt contributors.
"""Command line of make_split.py."""

import argparse
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict

from _common import FLAG, answer_help, described, given, positive

# what the ids of masks mean
LABEL_ARGUMENTS = ('num_classes', 'meta', 'ignore_index', 'reduce_zero_label')
# keys of mmseg_ctt.datasets.split_import.FORMATS, which is not imported for --help
FORMATS = ('auto', 'unimatch', 'u2pl', 'cps', 'pseudoseg')


def proper_fraction(text: str) -> str:
    """Argument type of ``--fraction``: 2/16 and 0.125 both become 1/8.

    Args:
        text (str): Fraction between 0 and 1.

    Returns:
        str: The reduced fraction.
    """
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no fraction between 0 and 1, such as 1/8')
    return str(value)


def parse_args() -> argparse.Namespace:
    """Parse the command line.

    Returns:
        argparse.Namespace: With ``command``, the name of the sub-command.
    """
    parser = described('Make, import and verify labelled/unlabelled lists.')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    make = commands.add_parser('make', help='draw labelled images at random')
    add_source(make)
    size = make.add_mutually_exclusive_group(required=True)
    size.add_argument(
        '--fraction', nargs='+', type=proper_fraction, help='labelled part, such as 1/8'
    )
    size.add_argument('--num', nargs='+', type=int, help='labelled images')
    make.add_argument('--seed', nargs='+', type=int, help='one or several; default: 0')
    make.set_defaults(command='make')
    sequence = commands.add_parser('sequence', help='label whole sequences')
    add_source(sequence)
    sequence.add_argument(
        '--labeled-prefix', nargs='+', required=True, help='beginning of the labelled stems'
    )
    sequence.set_defaults(command='sequence')
    masks = commands.add_parser('masks', help='label the images with a mask')
    masks.add_argument('--img-dir', required=True)
    masks.add_argument('--ann-dir', required=True)
    masks.add_argument(
        '--val',
        type=int,
        default=0,
        help='images with a mask that are kept for validation: val.txt',
    )
    masks.add_argument(
        '--val-img-dir', help='images for validation that are in a folder of their own'
    )
    masks.add_argument('--val-ann-dir', help='their masks')
    masks.add_argument('--seed', type=int, help='of --val; default: 0')
    masks.add_argument('--suffix', help='end of the names of masks, such as _GT.png; default: .png')
    add_labels(masks, 'default: a meta.json beside the masks, else the ids that occur')
    add_out(masks, 'folder of this one split')
    masks.set_defaults(command='masks')
    images = commands.add_parser('images', help='list images that all have no mask')
    images.add_argument('--img-dir', required=True)
    images.add_argument(
        '--val', type=int, required=True, help='images that are kept for validation: val.txt'
    )
    images.add_argument('--seed', type=int, help='of --val; default: 0')
    add_out(images, 'folder of these lists, such as DATA_ROOT/splits/images')
    images.set_defaults(command='images')
    add_import(commands.add_parser('import', help='read published lists'))
    verify = commands.add_parser('verify', help='check lists by manifest')
    verify.add_argument('dir', type=Path, help='a split, or a folder of them')
    verify.set_defaults(command='verify')
    return parser.parse_args()


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name the images."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--ann-dir', help='folder of the masks')
    source.add_argument(
        '--img-dir', help='folder of the images, without masks: classes are not checked'
    )
    parser.add_argument(
        '--suffix',
        help='end of the file names, such as _leftImg8bit.png; default: .png in --ann-dir, any '
        'image in --img-dir',
    )
    parser.add_argument('--list', help='use only the stems in this file')
    add_labels(parser, 'for --ann-dir')
    add_out(parser, 'folder of all splits, usually DATA_ROOT/splits')


def add_labels(parser: argparse.ArgumentParser, number: str) -> None:
    """Add the arguments that say what the ids of masks mean.

    Args:
        parser (argparse.ArgumentParser): Parser of a sub-command.
        number (str): Help of ``--num-classes``.
    """
    parser.add_argument('--num-classes', type=positive, help=number)
    parser.add_argument('--meta', help='JSON file with "classes": gives their number and names')
    parser.add_argument('--ignore-index', type=int, help='default: 255')
    parser.add_argument('--reduce-zero-label', **FLAG, help='id 0 is no class')


def add_import(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``import``."""
    parser.add_argument(
        '--format', dest='fmt', choices=[*FORMATS, 'permutation'], help='default: auto'
    )
    parser.add_argument('--labeled', required=True, help='labelled list, or pickled permutation')
    parser.add_argument('--unlabeled', help='unlabelled list')
    parser.add_argument('--all', help='full list: images not in the labelled list are unlabelled')
    parser.add_argument('--num', type=int, help='labelled images of a permutation')
    parser.add_argument(
        '--img-dir',
        help='folder of the images, in which every path is searched; default: names are below the '
        'folder that all paths of the lists have in common',
    )
    parser.add_argument('--suffix', help='end of the image names, such as _leftImg8bit.png')
    add_out(parser, 'folder of this one split')
    parser.set_defaults(command='import')


def add_out(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add the arguments of the output folder.

    Args:
        parser (argparse.ArgumentParser): Parser of a sub-command.
        meaning (str): Help of ``--out``.
    """
    parser.add_argument('--out', required=True, help=meaning)
    parser.add_argument('--overwrite', **FLAG, help='replace other lists in this folder')


def id_settings(args: argparse.Namespace) -> Dict[str, Any]:
    """Given settings of the ids of masks."""
    return given(args, ('ignore_index', 'reduce_zero_label'))


answer_help(parse_args)
