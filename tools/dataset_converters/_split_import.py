# Copyright (c) mmseg_ctt contributors.
"""Import of published lists, for make_split.py."""

import argparse
from pathlib import Path

from _common import given
from _refusals import refuse_unused
from _split_report import report


def import_command(args: argparse.Namespace) -> None:
    """Convert published lists to stems."""
    from mmseg_ctt.datasets.image_files import find_files, find_images
    from mmseg_ctt.datasets.split_files import file_sha256, write_split
    from mmseg_ctt.datasets.split_import import AUTO, import_lists, import_permutation

    fmt = AUTO if args.fmt is None else args.fmt
    if fmt == 'permutation':
        if args.all is None or args.num is None or args.unlabeled:
            raise ValueError('a permutation needs --all and --num, and takes no --unlabeled')
        refuse_unused(
            args, ('img_dir', 'suffix'), 'import takes the stems of a permutation from --all'
        )
        split = import_permutation(args.labeled, args.all, args.num)
    elif args.num is not None:
        raise ValueError('--num is for --format permutation only')
    else:
        images = None
        if not args.img_dir:
            refuse_unused(args, ('suffix',), 'import searches no images without --img-dir')
        else:
            images = (
                find_files(args.img_dir, [args.suffix])
                if args.suffix
                else find_images(args.img_dir)
            )
        split = import_lists(args.labeled, args.unlabeled, args.all, fmt, images)
    sources = dict(labeled=args.labeled, unlabeled=args.unlabeled, all=args.all)
    facts = dict(
        kind='import',
        format=fmt,
        num_dropped=split.num_dropped,
        sources={
            key: dict(name=Path(path).name, sha256=file_sha256(path))
            for key, path in sources.items()
            if path
        },
    )
    write_split(args.out, split.labeled, split.unlabeled, facts, **given(args, ('overwrite',)))
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
    if split.folder:
        print(f'  names are below {split.folder}/ of the lists, such as {split.labeled[0]}')
    if split.mixed:
        print(
            '  warning: paths of the lists have no folder in common, and are kept as they are, '
            f'such as {split.mixed}: give --img-dir if they are not below your image folder'
        )
    if split.mask_note:
        print(f'  warning: {split.mask_note}')
