# Copyright (c) mmseg_ctt contributors.
"""Write a self-contained report.html on one or several trainings.

python tools/analysis_tools/report.py WORK_DIR [WORK_DIR ...] [--out report.html] [--no-model]

The page opens with the answer: did the unlabelled images help, by how much, for which classes, is
it more than noise, which member to ship (give the supervised baseline, too). Then pseudo-labels,
worst images, images to label next, labels to check, IoU per class, confusion matrix, losses, memory
banks, a t-SNE of the features, settings. The page opens offline. Parts that need the networks
are computed from the checkpoint and the validation set of its config. Exit status: 0, or 1 where a
part was left out, which the page says at its top with the reason. See docs/report.md.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, given, report_extra, run  # noqa: E402
from _refusals import refuse_unused  # noqa: E402

OF_NETWORKS = ('tsne', 'max_images', 'worst', 'suggested', 'suspicious')
LEFT_OUT = 1  # exit status of a report without some of its parts


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR')
    parser.add_argument('--out', help='default: report.html in the (first) WORK_DIR')
    parser.add_argument(
        '--checkpoint', choices=('last', 'best'), help='checkpoint of the networks; default: last'
    )
    parser.add_argument(
        '--no-model',
        dest='model',
        action='store_false',
        default=None,
        help='only the records of the run: seconds, no data needed',
    )
    parser.add_argument(
        '--baseline', help='WORK_DIR that others are compared with; default: a supervised run'
    )
    parser.add_argument(
        '--no-tsne', dest='tsne', action='store_false', default=None, help='no feature embedding'
    )
    parser.add_argument(
        '--max-images',
        type=int,
        help='number of validation, unlabelled and labelled images, evenly spread; default: 100',
    )
    parser.add_argument('--worst', type=int, help='images shown as the worst; default: 6')
    parser.add_argument(
        '--suggest',
        dest='suggested',
        metavar='SUGGEST',
        type=int,
        help='images shown as those to label next; 0: none; default: 6',
    )
    parser.add_argument(
        '--label-errors',
        dest='suspicious',
        metavar='LABEL_ERRORS',
        type=int,
        help='masks shown as those to check; 0: none; default: 6',
    )
    return parser.parse_args()


def check_args(args: argparse.Namespace) -> None:
    """Raise for arguments that would be unused."""
    if args.model is False:
        spelled = dict(tsne='no-tsne', suggested='suggest', suspicious='label-errors')
        refuse_unused(args, OF_NETWORKS, '--no-model leaves the networks out', **spelled)


def main() -> None:
    args = parse_args()
    check_args(args)
    import mmseg_ctt  # noqa: F401, before anything imports mmseg

    with report_extra():
        from mmseg_ctt.lab.report.build import write_report
        from mmseg_ctt.lab.report.networks import NetworkOptions
    out = Path(args.out or Path(args.work_dirs[0], 'report.html'))
    options = NetworkOptions(**given(args, NetworkOptions._fields))
    how = given(args, ('checkpoint', 'baseline'))
    chapters = write_report(args.work_dirs, out, options=options, **how)
    for chapter in chapters:
        for part in chapter.left_out:
            print(f'{chapter.title}: LEFT OUT: {part.title.lower()}: {part.missing}')
        others = [part for part in chapter.parts if part.missing and not part.left_out]
        if others:
            titles = ', '.join(part.title.lower() for part in others)
            print(f'{chapter.title}: without {titles} (the page says why)')
    opening = chapters[0].parts[0]
    if opening.headline:
        print(opening.headline)
    print(out)
    if any(chapter.left_out for chapter in chapters):
        sys.exit(LEFT_OUT)


if __name__ == '__main__':
    run(main)
