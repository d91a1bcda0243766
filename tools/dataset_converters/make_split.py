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
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import errors_in_one_line, run  # noqa: E402
from _split_arguments import parse_args  # noqa: E402

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
    from mmseg_ctt.datasets.split_import import import_lists, import_permutation
    from mmseg_ctt.datasets.splits import random_ranking, write_random_split, write_sequence_split


def read_source(args: argparse.Namespace) -> Tuple[List[str], np.ndarray, Optional[List[str]]]:
    """Find the stems and the classes that their masks show.

    Args:
        args (argparse.Namespace): Arguments of ``add_source``.

    Returns:
        tuple: N stems, bool presence ``(N, K)`` (K = 0 without masks), and the
        class names if known.
    """
    folder = args.ann_dir or args.img_dir
    suffixes = ['.png'] if args.ann_dir else None
    if args.suffix:
        suffixes = [args.suffix]
    files = find_files(folder, suffixes) if suffixes else find_files(folder)
    stems = read_list(args.list) if args.list else list(files)
    absent = [stem for stem in stems if stem not in files]
    if absent or not stems:
        detail = f'such as {absent[0]}' if absent else 'it has no such file'
        raise ValueError(f'{len(absent) or "all"} files are missing from {folder}, {detail}')
    names = read_meta(args.meta)['classes'] if args.meta else None
    if args.img_dir:
        return stems, np.zeros((len(stems), 0), dtype=bool), None
    num_classes = len(names) if names else args.num_classes
    if not num_classes or num_classes != (args.num_classes or num_classes):
        raise ValueError(
            '--ann-dir needs --num-classes or --meta; if both are given, they must agree'
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
    """Split into images with a mask, labelled, and without."""
    images = find_files(args.img_dir)
    masks = find_files(args.ann_dir, ['.png'])
    masked = [stem for stem in masks if stem in images]
    unmatched = [stem for stem in masks if stem not in images]
    note = (
        f'{len(unmatched)} masks in {args.ann_dir} belong to no image in {args.img_dir}, such as '
        f'{unmatched[0]}.png: a mask has the name of its image'
        if unmatched
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
    """Convert published lists to stems."""
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
        print(f'  {split.num_dropped} labelled stems were removed from the unlabelled list')


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
    """Print the sizes of a written split.

    Args:
        written (dict): Result of ``write_random_split``.
    """
    print(
        f'{written["folder"]}: {written["num_labeled"]} labelled, '
        f'{written["num_unlabeled"]} unlabelled'
    )
    if written['missing']:
        print(f'  warning: no labelled image shows {", ".join(written["missing"])}')


COMMANDS: Dict[str, Callable[[argparse.Namespace], None]] = {
    'make': make_command,
    'sequence': sequence_command,
    'masks': masks_command,
    'import': import_command,
    'verify': verify_command,
}


def main() -> None:
    args = parse_args()
    COMMANDS[args.command](args)


if __name__ == '__main__':
    run(main)
