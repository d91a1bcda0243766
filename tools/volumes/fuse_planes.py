# Copyright (c) mmseg_ctt contributors.
"""Fuse the volumes that networks of several planes predict of the same cases.

python tools/volumes/fuse_planes.py x=out/x y=out/y z=out/z --out out/fused
python tools/volumes/fuse_planes.py x=out/x y=out/y z=out/z --out out/fused --clean seeded
python tools/volumes/fuse_planes.py x=out/x y=out/y z=out/z --out out/fused --fusion soft \\
    --probabilities x=prob/x y=prob/y z=prob/z

Each NAME=FOLDER holds the label volumes of one plane, as tools/volumes/predict_volume.py writes
them to --out; those of --probabilities its probabilities, for --fusion soft. All folders must hold
the same cases. OUT gets a label volume of each case, with affine and header of the first plane, and
agreement.json: Dice of each pair of planes by case and class, the ratio of voxels where all planes
agree, and the fused voxels of each id. Everything is checked before the first file is written; no
file is ever replaced.
"""

import argparse
import sys
from pathlib import Path
from typing import Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, given, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('planes', nargs='+', metavar='NAME=FOLDER', help='two planes or more')
    parser.add_argument('--out', required=True, help='folder of the fused volumes')
    parser.add_argument(
        '--probabilities', nargs='+', metavar='NAME=FOLDER', help='of every plane, for soft fusion'
    )
    parser.add_argument(
        '--fusion', help='majority (default), soft, union, at_least_two or intersection'
    )
    parser.add_argument(
        '--tie',
        metavar='NAME',
        help='plane that decides where votes are equal, not with --fusion soft or intersection; '
        'default: the last',
    )
    parser.add_argument(
        '--clean',
        help='components that stay: seeded (with a voxel that all planes give the class, from half '
        'the size of the largest) or largest; default: all',
    )
    parser.add_argument('--agreement-mask', **FLAG, help='set voxels where planes differ to 255')
    return parser.parse_args()


def named_folders(given: List[str]) -> Dict[str, Path]:
    """Folders by the names of their planes.

    Raises:
        ValueError: If one has no name, or two have the same.
    """
    folders: Dict[str, Path] = {}
    for text in given:
        name, sign, folder = text.partition('=')
        if not (name and sign and folder):
            raise ValueError(f'{text} is no NAME=FOLDER, such as z=out/z')
        if name in folders:
            raise ValueError(f'two folders have the name {name}: {folders[name]} and {folder}')
        folders[name] = Path(folder)
    return folders


def main() -> None:
    args = parse_args()
    from mmseg_ctt.label_fusion import PlaneFusion
    from mmseg_ctt.label_fusion.plane_files import plane_cases
    from mmseg_ctt.label_fusion.plane_folders import check_cases, fuse_folders
    from mmseg_ctt.label_fusion.plane_fusion import TIELESS

    folders, out = named_folders(args.planes), Path(args.out)
    names = list(folders)
    if args.tie is not None and args.tie not in names:
        raise ValueError(f'--tie {args.tie} is none of the planes {", ".join(names)}')
    if args.tie is not None and args.fusion in TIELESS:
        raise ValueError(f'--fusion {args.fusion} does not use --tie: leave it out')
    settings = given(args, ('fusion', 'clean', 'agreement_mask'))
    if args.tie is not None:
        settings['tie'] = names.index(args.tie)
    fusion = PlaneFusion(**settings)
    if fusion.needs_probabilities != bool(args.probabilities):
        raise ValueError('--fusion soft and --probabilities need one another')
    cases = plane_cases(folders, named_folders(args.probabilities) if args.probabilities else None)
    check_cases(cases, out)
    agreement = fuse_folders(cases, fusion, out, lambda case: print(f'fuses {case}', flush=True))
    mean = sum(found['agreeing'] for found in agreement.values()) / len(agreement)
    print(f'{len(cases)} volumes in {out}; all planes agree on {mean:.2%} of their voxels')


if __name__ == '__main__':
    run(main)
