# Copyright (c) mmseg_ctt contributors.
"""Make, import and verify labelled/unlabelled lists.

Draw 1/8 of a data set with three seeds, every class in every labelled part::

    python tools/dataset_converters/make_split.py make --num-classes 11 \
        --ann-dir data/camvid/ann_dir/train --fraction 1/8 --seed 0 1 2 \
        --out data/camvid/splits

Label whole sequences::

    python tools/dataset_converters/make_split.py sequence \
        --img-dir data/camvid/img_dir/train --labeled-prefix 0006R0 \
        --out data/camvid/splits

Label the images that have a mask, and keep 20 of them for validation::

    python tools/dataset_converters/make_split.py masks --val 20 \
        --img-dir data/mine/images --ann-dir data/mine/masks \
        --out data/mine/splits/mine

Import a published list::

    python tools/dataset_converters/make_split.py import --format unimatch \
        --labeled labeled.txt --unlabeled unlabeled.txt \
        --out data/VOCdevkit/VOC2012/splits/1_8/seed0
"""

import argparse
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import errors_in_one_line, run  # noqa: E402

with errors_in_one_line():
    import numpy as np

    from mmseg_ctt.datasets.folder import read_meta
    from mmseg_ctt.datasets.image_files import find_files
    from mmseg_ctt.datasets.label_check import scan_presence
    from mmseg_ctt.datasets.split_files import (
        MANIFEST_NAME,
        VAL_NAME,
        file_sha256,
        read_list,
        verify_split,
        write_split,
    )
    from mmseg_ctt.datasets.split_import import FORMATS, import_lists, import_permutation
    from mmseg_ctt.datasets.splits import random_ranking, write_random_split, write_sequence_split


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
        argparse.Namespace: With ``command``, the function to call.
    """
    parser = argparse.ArgumentParser(
        description='Make, import and verify labelled/unlabelled lists.'
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    make = commands.add_parser('make', help='draw labelled images at random')
    add_source(make)
    size = make.add_mutually_exclusive_group(required=True)
    size.add_argument(
        '--fraction', nargs='+', type=proper_fraction, help='labelled part, such as 1/8'
    )
    size.add_argument('--num', nargs='+', type=int, help='labelled images')
    make.add_argument('--seed', nargs='+', type=int, default=[0])
    make.set_defaults(command=make_command)
    sequence = commands.add_parser('sequence', help='label whole sequences')
    add_source(sequence)
    sequence.add_argument(
        '--labeled-prefix', nargs='+', required=True, help='beginning of the labelled stems'
    )
    sequence.set_defaults(command=sequence_command)
    masks = commands.add_parser('masks', help='label the images with a mask')
    masks.add_argument('--img-dir', required=True)
    masks.add_argument('--ann-dir', required=True)
    masks.add_argument(
        '--val', type=int, default=0, help='masks kept apart, drawn with seed 0: val.txt'
    )
    add_out(masks, 'folder of this one split')
    masks.set_defaults(command=masks_command)
    add_import(commands.add_parser('import', help='read published lists'))
    verify = commands.add_parser('verify', help='check lists by manifest')
    verify.add_argument('dir', type=Path, help='a split, or a folder of them')
    verify.set_defaults(command=verify_command)
    return parser.parse_args()


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which images there are."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--ann-dir', help='folder of the masks')
    source.add_argument(
        '--img-dir',
        help='folder of the images, where there are no masks: classes are not looked at',
    )
    parser.add_argument(
        '--suffix',
        help='end of the file names, such as '
        '_leftImg8bit.png; default: .png below --ann-dir, any '
        'image below --img-dir',
    )
    parser.add_argument('--list', help='use only the stems in this file')
    parser.add_argument('--num-classes', type=int, help='for --ann-dir')
    parser.add_argument('--meta', help='JSON file with "classes": gives their number and names')
    parser.add_argument('--ignore-index', type=int, default=255)
    parser.add_argument('--reduce-zero-label', action='store_true')
    add_out(parser, 'folder of all splits, usually DATA_ROOT/splits')


def add_import(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``import``."""
    parser.add_argument('--format', default='auto', choices=[*FORMATS, 'permutation'])
    parser.add_argument('--labeled', required=True, help='labelled list, or pickled permutation')
    parser.add_argument('--unlabeled', help='unlabelled list')
    parser.add_argument('--all', help='full list: its rest is unlabelled')
    parser.add_argument('--num', type=int, help='labelled images of a permutation')
    add_out(parser, 'folder of this one split')
    parser.set_defaults(command=import_command)


def add_out(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add the arguments that say where the lists go.

    Args:
        parser (argparse.ArgumentParser): Parser of a sub-command.
        meaning (str): What ``--out`` is.
    """
    parser.add_argument('--out', required=True, help=meaning)
    parser.add_argument(
        '--overwrite', action='store_true', help='replace other lists that lie there'
    )


def read_source(args: argparse.Namespace) -> Tuple[List[str], np.ndarray, Optional[List[str]]]:
    """Find the stems, and which classes their masks show.

    Args:
        args (argparse.Namespace): Arguments of :func:`add_source`.

    Returns:
        tuple: N stems, bool presence ``(N, K)`` (K = 0 without masks), and the
        class names where known.
    """
    folder = args.ann_dir or args.img_dir
    suffixes = ['.png'] if args.ann_dir else None
    if args.suffix:
        suffixes = [args.suffix]
    files = find_files(folder, suffixes) if suffixes else find_files(folder)
    stems = read_list(args.list) if args.list else list(files)
    absent = [stem for stem in stems if stem not in files]
    if absent or not stems:
        what = f'such as {absent[0]}' if absent else 'it holds no such file'
        raise ValueError(f'{len(absent) or "all"} files are missing from {folder}, {what}')
    names = read_meta(args.meta)['classes'] if args.meta else None
    if args.img_dir:
        return stems, np.zeros((len(stems), 0), dtype=bool), None
    num_classes = len(names) if names else args.num_classes
    if not num_classes or num_classes != (args.num_classes or num_classes):
        raise ValueError(
            '--ann-dir needs --num-classes or --meta, and where both are given they must agree'
        )
    paths = [Path(folder, files[stem]) for stem in stems]
    presence = scan_presence(paths, num_classes, args.ignore_index, args.reduce_zero_label)
    return stems, presence, names


def make_command(args: argparse.Namespace) -> None:
    """Draw a split for every size and seed."""
    stems, presence, names = read_source(args)
    for size in args.fraction or map(str, args.num):
        for seed in args.seed:
            report(write_random_split(args.out, stems, presence, size, seed, names, args.overwrite))


def sequence_command(args: argparse.Namespace) -> None:
    """Label the stems with the given prefixes."""
    stems, presence, names = read_source(args)
    report(
        write_sequence_split(args.out, stems, presence, args.labeled_prefix, names, args.overwrite)
    )


def masks_command(args: argparse.Namespace) -> None:
    """Label the images with a mask, leave the others without."""
    images = find_files(args.img_dir)
    masks = find_files(args.ann_dir, ['.png'])
    masked = [stem for stem in masks if stem in images]
    strays = [stem for stem in masks if stem not in images]
    note = (
        f'{len(strays)} masks in {args.ann_dir} belong to no image in {args.img_dir}, such as '
        f'{strays[0]}.png: a mask has the name of its image'
        if strays
        else ''
    )
    if args.val < 0 or len(masked) <= args.val:
        raise ValueError(
            f'{args.ann_dir} has {len(masked)} masks of images in {args.img_dir}: '
            f'too few for --val {args.val}' + (f'; {note}' if note else '')
        )
    ranked = [masked[i] for i in random_ranking(len(masked), 0)]
    labeled, val = sorted(ranked[args.val :]), sorted(ranked[: args.val])
    unlabeled = sorted(set(images) - set(masked))
    write_split(args.out, labeled, unlabeled, dict(kind='masks', val=args.val), args.overwrite, val)
    report(
        dict(folder=args.out, num_labeled=len(labeled), num_unlabeled=len(unlabeled), missing=[])
    )
    print(
        f'{Path(args.out, VAL_NAME)}: {args.val} for validation'
        + (f'\nwarning: {note}' if note else '')
    )


def import_command(args: argparse.Namespace) -> None:
    """Turn published lists into stems."""
    if args.format == 'permutation':
        if args.all is None or args.num is None or args.unlabeled:
            raise ValueError('a permutation needs --all and --num, and takes no --unlabeled')
        split = import_permutation(args.labeled, args.all, args.num)
    elif args.num is not None:
        raise ValueError('--num is for --format permutation only')
    else:
        split = import_lists(args.labeled, args.unlabeled, args.all, args.format)
    sources = dict(labeled=args.labeled, unlabeled=args.unlabeled, all=args.all)
    facts = dict(
        kind='import',
        format=args.format,
        num_dropped=split.num_dropped,
        sources={
            key: dict(name=Path(path).name, sha256=file_sha256(path))
            for key, path in sources.items()
            if path
        },
    )
    write_split(args.out, split.labeled, split.unlabeled, facts, args.overwrite)
    report(
        dict(
            folder=args.out,
            num_labeled=len(split.labeled),
            num_unlabeled=len(split.unlabeled),
            missing=[],
        )
    )
    if split.num_dropped:
        print(f'  {split.num_dropped} labelled stems were taken out of the unlabelled list')


def verify_command(args: argparse.Namespace) -> None:
    """Check every split below a folder."""
    folders = [path.parent for path in sorted(args.dir.rglob(MANIFEST_NAME))]
    for folder in folders or [args.dir]:
        manifest = verify_split(folder)
        print(
            f'{folder}: ok, {manifest["num_labeled"]} labelled, '
            f'{manifest["num_unlabeled"]} unlabelled'
        )


def report(written: Dict[str, Any]) -> None:
    """Print what was written.

    Args:
        written (dict): As from ``write_random_split``.
    """
    print(
        f'{written["folder"]}: {written["num_labeled"]} labelled, '
        f'{written["num_unlabeled"]} unlabelled'
    )
    if written['missing']:
        print(f'  warning: no labelled image shows {", ".join(written["missing"])}')


def main() -> None:
    args = parse_args()
    args.command(args)


if __name__ == '__main__':
    run(main)
