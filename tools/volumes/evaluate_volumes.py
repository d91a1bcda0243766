# Copyright (c) mmseg_ctt contributors.
"""Score predicted volumes: Dice, Jaccard, HD95 and ASD in mm of every case and class.

python tools/volumes/evaluate_volumes.py PRED_DIR LABEL_DIR --json scores.json

Files of both folders belong together by their paths below them without suffix; one of the two may
lack folders in front, if it is clear which files belong together. Class names are those that
tools/volumes/predict_volume.py wrote to prediction.json, or --classes. If PRED_DIR has a folder for
each of several members, one table has them all; they must have the same cases.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Union

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, given, run  # noqa: E402
from _refusals import refuse_unused  # noqa: E402

if TYPE_CHECKING:
    from mmseg_ctt.evaluation.volumes import ScoreTable

RECORDED = ('empty', 'ignore_index', 'background')
SETTINGS = (*RECORDED, 'listed', 'img_suffix', 'label_suffix', 'label_key', 'spacing')


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('predictions', metavar='PRED_DIR', help='folder of predicted volumes')
    parser.add_argument('labels', metavar='LABEL_DIR', help='folder of labels')
    parser.add_argument(
        '--list',
        dest='listed',
        metavar='LIST',
        help='list of the cases, one a line; all must be in both folders',
    )
    parser.add_argument(
        '--suffix',
        dest='img_suffix',
        metavar='SUFFIX',
        help='end of the names of volumes that the list names, such as _0000.nii.gz',
    )
    parser.add_argument('--label-suffix', help='end of the names of labels, such as _gt.nii.gz')
    parser.add_argument('--label-key', help='array of labels in .npz and .h5 files; default: label')
    parser.add_argument('--classes', nargs='+', help='names of the classes 0, 1, ...')
    parser.add_argument(
        '--spacing',
        nargs=3,
        type=float,
        metavar=('X', 'Y', 'Z'),
        help='mm of a voxel, for files that do not say it (.npy, .npz, .h5)',
    )
    parser.add_argument('--background', type=int, help='class without scores; -1: none; default: 0')
    parser.add_argument('--ignore-index', type=int, help='default: 255')
    parser.add_argument(
        '--empty',
        type=number_or_name,
        help='distance where prediction or label lack a class that the other has: diagonal (of the '
        'volume), nan (left out of means) or a number of mm; default: diagonal',
    )
    parser.add_argument('--json', help='file for scores, means and standard deviations')
    parser.add_argument('--csv', help='file for the scores, a line for each case and class')
    parser.add_argument('--overwrite', action='store_true', help='replace existing files')
    return parser.parse_args()


def number_or_name(text: str) -> Union[str, float]:
    if text == 'nan':
        return text
    try:
        return float(text)
    except ValueError:
        return text


def member_folders(folder: Path) -> Dict[str, Path]:
    """Folders of members by name; the folder itself under '' where it holds the volumes."""
    from mmseg_ctt.deploy.volumes import read_record

    if not folder.is_dir():
        raise FileNotFoundError(f'the folder {folder} does not exist')
    below = sorted(path for path in folder.iterdir() if path.is_dir() and read_record(path))
    if below and read_record(folder):
        raise ValueError(
            f'{folder} holds predictions, and folders of members too: name one, such as {below[0]}'
        )
    return {path.name: path for path in below} or {'': folder}


def classes_of(folder: Path, given: Sequence[str]) -> Sequence[str]:
    from mmseg_ctt.deploy.volumes import read_record

    known = read_record(folder).get('classes')
    if not given and not known:
        raise ValueError(
            f'{folder} has no prediction.json with names of classes: name them by --classes, the '
            'first is class 0'
        )
    if given and known and len(given) != len(known):
        raise ValueError(
            f'--classes names {len(given)} classes, {folder / "prediction.json"} {len(known)}: '
            f'{", ".join(known)}'
        )
    return given or known


def write(
    args: argparse.Namespace, tables: Dict[str, 'ScoreTable'], settings: Dict[str, Any]
) -> None:
    from mmseg_ctt.engine.files import write_whole

    if args.json:
        members = {name: table.as_dict() for name, table in tables.items()}
        content = members[''] if '' in members else dict(members=members)
        write_whole(
            Path(args.json), json.dumps(dict(settings=settings, **content), indent=1) + '\n'
        )
    if args.csv:
        write_whole(Path(args.csv), '\n'.join(csv_lines(tables)) + '\n')


def csv_lines(tables: Dict[str, 'ScoreTable']) -> List[str]:
    """Lines of all members, with a first column of their names where there are several."""
    if '' in tables:
        return tables[''].as_csv().splitlines()
    lines: List[str] = []
    for name, table in tables.items():
        header, *rows = table.as_csv().splitlines()
        lines += [*([] if lines else [f'member,{header}']), *(f'{name},{row}' for row in rows)]
    return lines


def check_outputs(args: argparse.Namespace) -> None:
    """Raise before hours of scoring where a file cannot be written."""
    from mmseg_ctt.engine.out_paths import check_new_file

    if args.overwrite and not (args.json or args.csv):
        raise ValueError('--overwrite is for --json and --csv: name a file, or remove it')
    files = [check_new_file(path, args.overwrite) for path in (args.json, args.csv) if path]
    if len({file.resolve() for file in files}) < len(files):
        raise ValueError(f'--json and --csv are both {args.csv}: give one of them another name')


def main() -> None:
    args = parse_args()
    if args.listed is None:
        refuse_unused(args, ('img_suffix',), 'no --list names volumes', img_suffix='suffix')
    check_outputs(args)
    from mmseg_ctt.evaluation.volumes import FolderScores, check_comparable, member_table

    evaluations = {
        name: FolderScores(
            folder, args.labels, classes_of(folder, args.classes), **given(args, SETTINGS)
        )
        for name, folder in member_folders(Path(args.predictions)).items()
    }
    check_comparable(evaluations)
    tables = {name: evaluation.score() for name, evaluation in evaluations.items()}
    print(tables[''].as_text() if '' in tables else member_table(tables))
    first = next(iter(evaluations.values()))
    absent = first.not_predicted
    if absent and not args.listed:
        print(
            f'labels without prediction: {len(absent)}, such as {absent[0]}; --list names the cases'
        )
    write(args, tables, {name: getattr(first, name) for name in RECORDED})


if __name__ == '__main__':
    run(main)
