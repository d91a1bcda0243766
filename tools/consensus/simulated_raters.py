# Copyright (c) mmseg_ctt contributors.
"""Fuse the masks of simulated raters: Dice with the true mask they were made from.

    python tools/consensus/simulated_raters.py IMAGES MASKS [--number 8] [--seeds 3] [--json FILE]

Binary masks. Five raters are simulated for each image (mmseg_ctt/lab/raters/simulated.py): two good
and three noisy ones, and two good and three that are smooth but draw too large. The last one lacks
30 % of the blocks of 8x8 pixels. The images are spread evenly over those whose mask has at least
200 pixels of class 1. One row a panel of raters: mean Dice of majority, STAPLE, and the consensus
with several weights; the best single rater; mean self-consistency of each rater.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

FEWEST = 200  # pixels of class 1


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('images', metavar='IMAGES', help='folder of images')
    parser.add_argument('masks', metavar='MASKS', help='folder of true binary masks')
    parser.add_argument('--number', type=int, default=8, help='of images; default: 8')
    parser.add_argument('--seeds', type=int, default=1, help='simulations of each; default: 1')
    parser.add_argument('--json', help='file for the values of each image')
    return parser.parse_args()


def chosen(images: str, masks: str, number: int) -> List[Any]:
    """Cases with a large enough object, evenly spread, and their masks."""
    from mmseg_ctt.label_fusion.cases import find_cases, load_case

    loaded = [(case, load_case(case, 2)) for case in find_cases(images, [masks])]
    large = [(case, found) for case, found in loaded if (found.labels[0] == 1).sum() >= FEWEST]
    if len(large) < number:
        raise ValueError(f'{masks} has {len(large)} masks with an object, fewer than {number}')
    return [large[k * len(large) // number] for k in range(number)]


def values_of(image: Any, truth: Any, models: Any, seed: int) -> Dict[str, Any]:
    """Dice of every method and of the raters, and the self-consistency of these."""
    from mmseg_ctt.lab.raters.comparison import dice, fuse_by_all
    from mmseg_ctt.lab.raters.simulated import simulated_panel
    from mmseg_ctt.label_fusion.votes import MISSING

    labels = simulated_panel(truth, models, seed)
    found = fuse_by_all(image, labels)
    raters = [dice(label, truth, label != MISSING) for label in labels]
    return dict(
        {name: dice(mask, truth) for name, mask in found.masks.items()},
        **{'best rater': max(raters), 'raters': raters, 'self_consistency': found.scores},
    )


def rows(values: Dict[str, List[Dict[str, Any]]]) -> List[str]:
    """Means as Markdown."""
    import numpy as np

    first = next(iter(values.values()))[0]
    names = [name for name in first if not isinstance(first[name], list)]
    lines = [f'| raters | {" | ".join(names)} |', f'| --- |{" --- |" * len(names)}']
    for panel, found in values.items():
        means = [np.mean([entry[name] for entry in found]) for name in names]
        lines.append(f'| {panel} | {" | ".join(f"{mean:.4f}" for mean in means)} |')
    for panel, found in values.items():
        for name in ('raters', 'self_consistency'):
            means = np.mean([entry[name] for entry in found], axis=0)
            title = 'Dice of each rater' if name == 'raters' else 'self-consistency of each rater'
            lines.append(f'{panel}: {title} {", ".join(f"{mean:.3f}" for mean in means)}')
    return lines


def main() -> None:
    args = parse_args()
    if args.number < 1 or args.seeds < 1:
        raise ValueError('--number and --seeds must be positive')
    from mmseg_ctt.engine.files import write_whole
    from mmseg_ctt.engine.out_paths import check_new_file
    from mmseg_ctt.lab.raters.simulated import PANELS

    if args.json is not None:
        check_new_file(args.json)
    cases = chosen(args.images, args.masks, args.number)
    values: Dict[str, List[Dict[str, Any]]] = {panel: [] for panel in PANELS}
    for number, (case, loaded) in enumerate(cases):
        for seed in range(args.seeds):
            for panel, models in PANELS.items():
                found = values_of(loaded.image, loaded.labels[0], models, 1000 * seed + number)
                values[panel].append(found)
        print(f'[{number + 1}/{len(cases)}] {case.name}', file=sys.stderr, flush=True)
    if args.json is not None:
        write_whole(Path(args.json), json.dumps(values, indent=1) + '\n')
    print(*rows(values), sep='\n')


if __name__ == '__main__':
    run(main)
