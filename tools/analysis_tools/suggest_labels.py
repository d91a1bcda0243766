# Copyright (c) mmseg_ctt contributors.
"""Choose the unlabelled images to label next: where the members of a run disagree most.

python tools/analysis_tools/suggest_labels.py CONFIG CHECKPOINT --count 20 --out DIR

Every image without a mask is scored once by the mean Jensen-Shannon divergence of the teachers
(student and teacher of a single pair; the entropy of a single network), in [0, 1]; of the 5 N
highest, N are chosen that are unlike one another. They are listed in the order in which they were
chosen, not by the score: the first has the highest, each further one is unlike those before it.
Writes DIR/index.html (pictures), label_next.txt (names), scores.csv (all images, by the score), and
the lists of the next training, labeled.txt and unlabeled.txt. See docs/guide/label_next.md.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, check_file, described, read_config, report_extra, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config of a run')
    parser.add_argument('checkpoint', help='checkpoint of the run')
    parser.add_argument('--count', type=int, default=20, help='number of images; default: 20')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument('--images', help='folder; default: training images without masks')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    check_file(args.checkpoint, 'checkpoint')
    with report_extra():
        from mmseg_ctt.lab.report.galleries import LIST, PAGE, write_suggestions
        from mmseg_ctt.lab.report.labelling import ORDER
    found = write_suggestions(cfg, args.checkpoint, args.out, args.count, args.images)
    print(f'images and their scores, {ORDER}:')
    for scored in found.chosen:
        print(f'{scored.image.name}  {scored.score:.4f}')
    if found.scarce:
        print(found.scarce)
    if found.damaged:
        print(f'{len(found.damaged)} images cannot be read, such as {found.damaged[0]}')
    print(Path(args.out, LIST))
    print(Path(args.out, PAGE))


if __name__ == '__main__':
    run(main)
