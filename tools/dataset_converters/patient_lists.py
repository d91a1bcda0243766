# Copyright (c) mmseg_ctt contributors.
"""Lists of volumes by patient: labeled.txt, unlabeled.txt, val.txt, test.txt and a manifest.

Draw 8 labelled patients, 4 for validation and 8 for the test; the others are unlabelled. Volumes
without a label can only be unlabelled, and the labelled ones show every class::

    python tools/dataset_converters/patient_lists.py make \
        --images data/mine/images --labels data/mine/labels \
        --num-labeled 8 --num-val 4 --num-test 8 --seed 0 --out data/mine/splits/8

Slices as images, whose names tell the patient::

    python tools/dataset_converters/patient_lists.py make \
        --images data/la2d/img_dir/train --labels data/la2d/ann_dir/train \
        --patient '(.+)_z[0-9]+' --num-labeled 8 --out data/la2d/splits/8

Take the parts that a JSON file or text files name, with ``labeled``, ``unlabeled``, ``val`` and
``test``::

    python tools/dataset_converters/patient_lists.py import --meta data/la3d/meta.json \
        --images data/la3d/images --labels data/la3d/labels --out data/la3d/splits/8
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, given, run  # noqa: E402

if TYPE_CHECKING:
    from mmseg_ctt.datasets.split_patients import PatientFolder


def parse_args() -> argparse.Namespace:
    """Parse the command line; ``command`` is the name of the sub-command."""
    parser = described('Lists of volumes or slices by patient.')
    commands = parser.add_subparsers(required=True, metavar='COMMAND', dest='command')
    make = commands.add_parser('make', help='draw patients at random')
    add_folders(make, labels_required=True)
    make.add_argument('--num-labeled', type=int, help='labelled patients; default: all that remain')
    make.add_argument('--num-val', type=int, help='patients for validation; default: 0')
    make.add_argument('--num-test', type=int, help='patients for the test; default: 0')
    make.add_argument('--seed', type=int, help='default: 0')
    make.add_argument('--num-classes', type=int, help='default: of meta.json')
    make.add_argument(
        '--meta', help='JSON file with "classes"; default: meta.json beside the folder of labels'
    )
    make.add_argument('--label-key', help='array of labels in .npz and .h5 files; default: label')
    make.add_argument('--ignore-index', type=int, help='default: 255')
    take = commands.add_parser('import', help='take parts that files name')
    add_folders(take, labels_required=False)
    take.add_argument('--meta', help='JSON file with lists of patients by part')
    for part in ('labeled', 'unlabeled', 'val', 'test'):
        take.add_argument(f'--{part}', help='text file, one patient a line')
    take.add_argument('--test-images', help='folder of the images of val and test, if another one')
    return parser.parse_args()


def add_folders(parser: argparse.ArgumentParser, labels_required: bool) -> None:
    """Add the arguments that name files, patients and the output."""
    parser.add_argument('--images', required=True, help='folder of volumes, or of slices as images')
    parser.add_argument('--labels', required=labels_required, help='folder of their labels')
    parser.add_argument(
        '--patient',
        default='(.+)',
        help='regular expression for the whole name of a file, whose first group is the patient; '
        'default: (.+), the name itself',
    )
    parser.add_argument('--suffix', help='end of the names of volumes, such as _0000.nii.gz')
    parser.add_argument('--label-suffix', help='end of the names of labels, such as _gt.nii.gz')
    parser.add_argument('--out', required=True, help='folder of the lists')
    parser.add_argument('--overwrite', **FLAG, help='replace other lists in this folder')


def class_names(args: argparse.Namespace) -> List[str]:
    """Names of the classes."""
    from mmseg_ctt.datasets.folder import read_meta

    path = Path(args.meta) if args.meta else Path(args.labels).parent / 'meta.json'
    if args.num_classes is not None and args.meta is None:
        return [f'class {k}' for k in range(args.num_classes)]
    if not path.is_file():
        raise ValueError(
            f'{path} does not exist: write {{"classes": [...]}} to it, or give --num-classes'
        )
    names = list(read_meta(path)['classes'])
    if args.num_classes not in (None, len(names)):
        raise ValueError(
            f'--num-classes {args.num_classes}, but {path} names {len(names)} classes: give one of '
            'the two'
        )
    return names


def make_command(args: argparse.Namespace) -> None:
    """Draw patients."""
    from mmseg_ctt.datasets.split_patients import (
        PARTS,
        draw_patients,
        names_of_parts,
        presence_by_patient,
    )
    from mmseg_ctt.datasets.splits import SEED

    names = class_names(args)
    folder = read(args, args.images, args.labels)
    ids = given(args, ('ignore_index', 'label_key'))
    presence = presence_by_patient(folder, len(names), **ids)
    if not presence:
        raise ValueError(f'no volume or image of {args.images} has a label in {args.labels}')
    seed = SEED if args.seed is None else args.seed
    parts = draw_patients(
        presence,
        [patient for patient in folder.names if patient not in presence],
        args.num_labeled,
        seed=seed,
        class_names=names,
        **given(args, ('num_val', 'num_test')),
    )
    kept = {part: parts[part] for part in PARTS if parts[part] or part in ('labeled', 'unlabeled')}
    write(args, kept, names_of_parts(kept, folder, True), dict(kind='patients', seed=seed))
    bare = sum(
        name not in folder.labels
        for part in kept
        if part != 'unlabeled'
        for patient in kept[part]
        for name in folder.names[patient]
    )
    if bare:
        print(f'  {bare} files without label of patients with labels are on no list')


def import_command(args: argparse.Namespace) -> None:
    """Take the parts that files name."""
    from mmseg_ctt.datasets.split_files import file_sha256
    from mmseg_ctt.datasets.split_patients import (
        PARTS,
        names_of_parts,
        patients_of_lists,
        patients_of_meta,
    )

    lists = {part: getattr(args, part) for part in PARTS}
    given = [path for path in (args.meta, *lists.values()) if path]
    if bool(args.meta) == any(lists.values()):
        raise ValueError('give either --meta, or --labeled and the other lists')
    parts = patients_of_meta(args.meta) if args.meta else patients_of_lists(lists)
    if not parts.get('labeled'):
        raise ValueError('there is no labelled patient: give --labeled')
    folder = read(args, args.images, args.labels)
    needed = args.labels is not None
    held: Dict[str, List[str]] = {}
    if args.test_images:
        held = {part: parts.pop(part) for part in ('val', 'test') if part in parts}
        if not held:
            raise ValueError(
                '--test-images would be unused, as no list names val or test: remove it'
            )
    names = names_of_parts(parts, folder, needed)
    if held:
        check_apart(parts, held)
        names.update(names_of_parts(held, read(args, args.test_images, None), False))
    sources = {Path(path).name: file_sha256(path) for path in given}
    write(args, {**parts, **held}, names, dict(kind='import', sources=sources))


def check_apart(parts: Dict[str, List[str]], held: Dict[str, List[str]]) -> None:
    """No patient of two folders is in two parts."""
    common = {p for names in parts.values() for p in names} & {
        p for names in held.values() for p in names
    }
    if common:
        raise ValueError(f'the patient {min(common)} is both in training and in val or test')


def read(args: argparse.Namespace, images: str, labels: Optional[str]) -> 'PatientFolder':
    """Files of a folder by patient."""
    from mmseg_ctt.datasets.patients import PatientRule
    from mmseg_ctt.datasets.split_patients import read_patients

    rule = PatientRule(args.patient, '--patient')
    return read_patients(images, labels, rule, **given(args, ('suffix', 'label_suffix')))


def write(args: argparse.Namespace, parts: dict, names: dict, facts: dict) -> None:
    """Write lists and manifest, and print what they hold."""
    from mmseg_ctt.datasets.split_files import write_split
    from mmseg_ctt.datasets.split_patients import PARTS

    facts.update(patient=args.patient, patients={part: sorted(parts[part]) for part in parts})
    write_split(
        args.out,
        names['labeled'],
        names.get('unlabeled', []),
        facts,
        val=names.get('val'),
        test=names.get('test'),
        **given(args, ('overwrite',)),
    )
    words = dict(labeled='labelled', unlabeled='unlabelled', val='for validation', test='for test')
    counts = [
        f'{len(parts[part])} {words[part]}'
        + (f' ({len(names[part])} files)' if len(names[part]) != len(parts[part]) else '')
        for part in PARTS
        if part in parts
    ]
    print(f'{args.out}: patients: {", ".join(counts)}')
    if not names.get('unlabeled'):
        print(
            '  warning: no patient is unlabelled: label fewer (--num-labeled), or train the '
            'supervised baseline with train_dataloader.dataset.unlabeled=None'
        )


def main() -> None:
    args = parse_args()
    (make_command if args.command == 'make' else import_command)(args)


if __name__ == '__main__':
    run(main)
