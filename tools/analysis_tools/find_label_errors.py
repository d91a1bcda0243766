# Copyright (c) mmseg_ctt contributors.
"""Find training masks that all members of a run contradict with confidence: likely label errors.

python tools/analysis_tools/find_label_errors.py CONFIG CHECKPOINT --out DIR [--count 20]

Labelled images are ranked by the part of their pixels for which all members predict one other class
than the mask with confidence (class thresholds of confident learning), away from borders. Images
of classes that the networks do not know yet come last. Writes DIR/index.html (image, mask,
prediction, contradicted regions) and label_errors.txt (names, the worst first). With the manifest
of spoil_masks.py it prints how many spoilt masks it has found. See docs/guide/label_next.md.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, check_file, described, given, read_config, report_extra, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config of a run')
    parser.add_argument('checkpoint', help='checkpoint of the run')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--count', type=int, default=20, help='number of images, at most; default: 20'
    )
    parser.add_argument(
        '--threshold',
        type=float,
        help='probability that each member must give; default: for each class the mean over the '
        'pixels whose mask says it, and --floor',
    )
    parser.add_argument(
        '--floor', type=float, help='smallest probability without --threshold; default: 0.3'
    )
    parser.add_argument(
        '--min-iou',
        type=float,
        help='IoU on the labelled images from which a class is known; images of others come last; '
        '0: all are known; default: 0.5',
    )
    parser.add_argument(
        '--border', type=float, help='strip along borders, part of the longer side; default: 0.01'
    )
    parser.add_argument(
        '--min-area', type=float, help='smallest region, part of the image; default: 0.001'
    )
    parser.add_argument('--spoilt', help='spoilt.json of spoil_masks.py')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    check_file(args.checkpoint, 'checkpoint')
    from mmseg_ctt.lab.label_review.label_errors import Contradiction, names_of
    from mmseg_ctt.lab.label_review.spoil import read_manifest

    with report_extra():
        from mmseg_ctt.lab.report.galleries import PAGE, write_label_errors
        from mmseg_ctt.lab.report.label_errors import BEHIND, recall_table
    spoilt = read_manifest(Path(args.spoilt)) if args.spoilt else None
    settings = Contradiction(**given(args, Contradiction._fields))
    search = write_label_errors(cfg, args.checkpoint, args.out, args.count, settings, spoilt)
    for known in (True, False):
        entries = [entry for entry in search.found if entry.known is known]
        if entries and not known:
            print(BEHIND)
        for entry in entries:
            words = names_of(entry.regions, search.images.metainfo)
            print(f'{entry.image.name}  {entry.score:.2%}  {words}')
    if not search.found:
        print('no mask is contradicted')
    elif search.unknown:
        print(search.unknown)
    if spoilt is not None:
        table = recall_table([entry.image.name for entry in search.found], spoilt)
        for row in (table.head, *table.rows):
            print('  '.join(f'{cell:>14}' for cell in row))
    print(Path(args.out, PAGE))


if __name__ == '__main__':
    run(main)
