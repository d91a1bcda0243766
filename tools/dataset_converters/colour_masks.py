# Copyright (c) mmseg_ctt contributors.
"""Convert masks of colours or grey values to masks of class ids.

    python tools/dataset_converters/colour_masks.py MASKS OUT [--palette COLOUR ...]

MASKS is a folder of images with one colour a class; OUT gets PNG masks of ids with the same names
and sub-folders. Colour k of the palette is class k. The palette is, in this order:

- --palette 128,64,128 0,0,142 (or grey values, --palette 0 255 for binary masks)
- "palette" of a meta.json in MASKS, next to it or next to OUT
- the colours found, most frequent first; a meta.json with them is written next to OUT, for you to
  name the classes

Black, unless the palette has it, and all other colours become 255, which is ignored in training;
their pixels are counted. Neither MASKS nor, without --overwrite, a file in OUT is changed.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, given, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('masks', metavar='MASKS', help='folder of the colour masks')
    parser.add_argument('out', metavar='OUT', help='folder of the masks of ids')
    parser.add_argument(
        '--palette',
        nargs='+',
        metavar='COLOUR',
        help='colour of each class: red,green,blue or grey',
    )
    parser.add_argument('--meta', help='file that is read as meta.json')
    parser.add_argument(
        '--suffix',
        help='end of the names of masks, such as _GT.png, which is left out in OUT; default: any '
        'image',
    )
    parser.add_argument('--overwrite', **FLAG, help='replace masks in OUT')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmseg_ctt.datasets.colour_conversion import convert

    settings = given(args, ('palette', 'meta', 'suffix', 'overwrite'))
    lines = convert(args.masks, args.out, **settings)
    print(*lines, sep='\n')


if __name__ == '__main__':
    run(main)
