# Copyright (c) mmseg_ctt contributors.
"""Write saliency maps of images without a network: a stand-in for those of a trained detector.

    python tools/weak/make_saliency.py IMAGES --out DIR [--method grabcut] [--jobs N]

The map of a/b.jpg is DIR/a/b.png, 8 bit, of the size of the image. Called again, it goes on where
it was stopped; a file that exists is never changed. The method grabcut (OpenCV) cuts by colours
from an ellipse in the centre. The published figures of AuxSegNet and Group-WSSS are with detectors
that have learnt from masks of salient objects; a folder of such maps is used in the same way.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('images', metavar='IMAGES', help='folder of images')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the maps')
    parser.add_argument(
        '--method', default='grabcut', help='grabcut, the only one so far; default: grabcut'
    )
    parser.add_argument('--jobs', type=int, default=1, help='processes; default: 1')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmseg_ctt.weak_labels.saliency_folder import make_saliency

    written = make_saliency(
        Path(args.images),
        Path(args.out),
        args.method,
        args.jobs,
        report=lambda line: print(line, flush=True),
    )
    print(f'{written} maps written (a stand-in for a trained detector): {args.out}')


if __name__ == '__main__':
    run(main)
