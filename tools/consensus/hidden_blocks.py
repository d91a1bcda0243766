# Copyright (c) mmseg_ctt contributors.
"""Hide blocks of one rater, and see how well they are filled in: Dice with what was hidden.

    python tools/consensus/hidden_blocks.py IMAGES RATER_DIR RATER_DIR ... [--rater 1]
        [--part 0.3] [--block 16] [--seed 0] [--jobs 1] [--json FILE]

Binary masks, complete ones of every rater. Blocks of rater --rater (from 0) are hidden, the others
stay. Rows of the table: the masks of the other raters, the completed mask of the rater, and fused
masks by majority, STAPLE and the consensus with several weights. Columns: mean Dice with the hidden
mask, in the hidden blocks and in the whole image; - where no image has the class there. Where one
other rater is left in a block, majority and STAPLE are the mask of this rater there.
"""

import argparse
import json
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, given, positive, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('images', metavar='IMAGES', help='folder of images')
    parser.add_argument('raters', metavar='RATER_DIR', nargs='+', help='folder of masks of a rater')
    parser.add_argument('--rater', type=int, default=1, help='whose blocks are hidden; default: 1')
    parser.add_argument('--part', type=float, default=0.3, help='of the blocks; default: 0.3')
    parser.add_argument('--block', type=int, default=16, help='side in pixels; default: 16')
    parser.add_argument('--seed', type=int, help='of blocks and forests; default: 0')
    parser.add_argument('--local-consistency', help='mean, neighbors or none; default: mean')
    parser.add_argument('--gabor-entropy', **FLAG, help='further feature')
    parser.add_argument('--limit', type=positive, help='number of images; default: all')
    parser.add_argument('--jobs', type=int, default=1, help='processes; default: 1')
    parser.add_argument('--json', help='file for the values of each image')
    return parser.parse_args()


def check(args: argparse.Namespace) -> None:
    if not 0 <= args.rater < len(args.raters):
        raise ValueError(f'--rater {args.rater} is none of 0 to {len(args.raters) - 1}')
    if len(args.raters) < 2:
        raise ValueError('give the folders of two raters or more')
    if not 0 < args.part < 1 or args.block < 1 or args.jobs < 1:
        raise ValueError('--part must be in (0, 1), --block and --jobs positive')
    if args.json is not None:
        from mmseg_ctt.engine.out_paths import check_new_file

        check_new_file(args.json)


def table(values: List[Dict[str, Dict[str, float]]]) -> List[str]:
    """Means over the images as Markdown."""
    from mmseg_ctt.label_fusion.agreement import mean_of

    lines = ['| mask | Dice in the hidden blocks | Dice in the image |', '| --- | --- | --- |']
    for name in values[0]:
        means = [mean_of(found[name][part] for found in values) for part in ('hidden', 'whole')]
        shown = ('-' if mean is None else f'{mean:.4f}' for mean in means)
        lines.append(f'| {name} | {" | ".join(shown)} |')
    return lines


def plain(values: Dict[str, Dict[str, float]]) -> Dict[str, Dict[str, Optional[float]]]:
    """Values for JSON, which has no NaN."""
    return {
        name: {part: None if math.isnan(dice) else dice for part, dice in found.items()}
        for name, found in values.items()
    }


def main() -> None:
    args = parse_args()
    check(args)
    from mmseg_ctt.engine.files import write_whole
    from mmseg_ctt.lab.raters.comparison import hide_in_case
    from mmseg_ctt.label_fusion.cases import find_cases
    from mmseg_ctt.label_fusion.consensus import ConsensusSettings

    settings = ConsensusSettings(**given(args, ('seed', 'local_consistency', 'gabor_entropy')))
    settings.check()
    hide = dict(rater=args.rater, part=args.part, block=args.block, seed=settings.seed)
    task = partial(hide_in_case, settings=settings, **hide)
    cases = find_cases(args.images, args.raters)[: args.limit]
    for case in cases:
        if not all(case.masks):
            raise ValueError(f'a rater has no mask of {case.image}: this comparison needs all')
    with ProcessPoolExecutor(min(args.jobs, len(cases))) as pool:
        found = []
        for case, values in zip(cases, pool.map(task, enumerate(cases))):
            found.append(values)
            print(f'[{len(found)}/{len(cases)}] {case.name}', file=sys.stderr, flush=True)
    if args.json is not None:
        named = {case.name: plain(values) for case, values in zip(cases, found)}
        write_whole(Path(args.json), json.dumps(named, indent=1) + '\n')
    print(*table(found), sep='\n')


if __name__ == '__main__':
    run(main)
