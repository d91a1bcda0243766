# Copyright (c) mmseg_ctt contributors.
"""Copy masks with errors in some of them, to measure how many find_label_errors.py finds.

python tools/dataset_converters/spoil_masks.py MASKS OUT [--list labeled.txt] [--fraction 0.05]

An error is a region with the id of another class (class), or a mask that lies a tenth of its sides
beside the image (shift); the two take turns. OUT/spoilt.json names the spoilt masks. The masks in
MASKS are never changed.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, given, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('masks', help='folder of masks')
    parser.add_argument('out', help='empty folder for the copy')
    parser.add_argument('--list', help='list of images whose masks may be spoilt; default: all')
    parser.add_argument('--fraction', type=float, help='fraction of these masks; default: 0.05')
    parser.add_argument('--kinds', nargs='+', help='class, shift; default: class shift')
    parser.add_argument('--seed', type=int, help='default: 0')
    parser.add_argument('--ignore-index', type=int, help='id of ignored pixels; default: 255')
    parser.add_argument('--suffix', help='end of the names of masks; default: .png')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401
    from mmseg_ctt.datasets.image_files import find_masks
    from mmseg_ctt.datasets.lists import read_stems
    from mmseg_ctt.lab.label_review.spoil import MANIFEST, spoil_masks

    found = find_masks(args.masks, **given(args, ('suffix',)))
    if not found:
        raise FileNotFoundError(f'no mask was found in {args.masks}')
    listed = read_stems(args.list, found, args.masks) if args.list else list(found)
    out = Path(args.out)
    folder = Path(args.masks)
    settings = given(args, ('fraction', 'kinds', 'seed', 'ignore_index'))
    entries = spoil_masks(folder, found, out, listed, **settings)
    for entry in entries:
        print(', '.join(f'{key}: {value}' for key, value in entry.items()))
    print(f'{len(entries)} of {len(listed)} masks are spoilt: {out / MANIFEST}')


if __name__ == '__main__':
    run(main)
