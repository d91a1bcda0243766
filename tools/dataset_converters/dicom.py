# Copyright (c) mmseg_ctt contributors.
"""DICOM series as NIfTI volumes, every series below a folder.

python tools/dataset_converters/dicom.py DICOM_FOLDER data/mine/images

A file is called after patient, number and description of its series; equal names are numbered, and
a volume keeps its name when series come later. Existing files are kept. A series that is no volume
is left out, and one that is damaged is an error; a line says why. A series may lie in several
folders; time points or echoes in folders of their own are a volume each. Damaged files that are
in no series are counted in a warning.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = described(__doc__)
    parser.add_argument('folder', help='searched with its sub-folders')
    parser.add_argument('out', type=Path, help='folder of the volumes')
    parser.add_argument('--dry-run', action='store_true', help='check and list, write nothing')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmseg_ctt.volumes.dicom import (
        NoVolumeError,
        convert_series,
        find_series,
        output_names,
        sorted_files,
        unread_files,
    )

    found = find_series(args.folder)
    unread = unread_files(args.folder, found)
    if unread:
        print(
            f'warning: {len(unread)} DICOM files are in no series and left out, such as '
            f'{unread[0]}: copy damaged ones again'
        )
    written, wrong = 0, 0
    for series, name in zip(found, output_names(found, args.out)):
        path = args.out / f'{name}.nii.gz'
        try:
            if args.dry_run:
                print(f'{path}: {len(sorted_files(series))} files of {series.label}')
            else:
                print(f'{path}: {" x ".join(map(str, convert_series(series, path)))}')
            written += 1
        except NoVolumeError as error:
            print(f'left out: {error}')
        except ValueError as error:
            wrong += 1
            print(f'error: {error}')
    if wrong:
        raise ValueError(f'{wrong} of {len(found)} series were not converted, {written} were')
    print(f'{written} of {len(found)} series {"can be " * args.dry_run}converted')


if __name__ == '__main__':
    run(main)
