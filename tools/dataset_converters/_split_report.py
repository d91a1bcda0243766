# Copyright (c) mmseg_ctt contributors.
"""What make_split.py prints about the lists that it has written."""

import argparse
from pathlib import Path
from typing import Any, Dict, List


def report(written: Dict[str, Any]) -> None:
    """Print the sizes of a written split.

    Args:
        written (dict): Of :func:`.splits.write_drawn`.
    """
    print(
        f'{written["folder"]}: {written["num_labeled"]} labelled, '
        f'{written["num_unlabeled"]} unlabelled'
    )
    if written['missing']:
        print(f'  warning: no labelled image shows {", ".join(written["missing"])}')
    if not written['num_unlabeled']:
        print(
            '  warning: no image is unlabelled: add images without a mask, or label fewer (make), '
            'or train the supervised baseline with train_dataloader.dataset.unlabeled=None'
        )


def report_validation(
    args: argparse.Namespace, val: List[str], counts: Dict[str, dict], missing: List[str]
) -> None:
    """Print what validation uses, and how a config finds it."""
    if args.val_img_dir:
        root = Path(args.img_dir).resolve().parent
        print(f'{args.val_img_dir}: for validation; set in your config, or after --cfg-options:')
        for loader in ('val', 'test'):
            key = f'{loader}_dataloader.dataset'
            folders = dict(img_path=args.val_img_dir, seg_map_path=args.val_ann_dir)
            print(
                f'  {key}.ann_file=',
                *(f'{key}.data_prefix.{k}={below(root, path)}' for k, path in folders.items()),
            )
    elif args.val:
        print(f'{Path(args.out, "val.txt")}: {len(val)} for validation')
    else:
        print(
            'no val.txt was written: keep images with --val 20, or name a folder of validation '
            'images with --val-img-dir and --val-ann-dir'
        )
    if missing:
        shown = ', '.join(f'{name} ({counts[name]["labeled"]} labelled)' for name in missing)
        print(f'  warning: no image for validation shows {shown}')


def below(root: Path, path: str) -> str:
    """A path below a root, absolute where it is elsewhere."""
    whole = Path(path).resolve()
    return whole.relative_to(root).as_posix() if root in whole.parents else str(whole)
