# Copyright (c) mmseg_ctt contributors.
"""DICOM series as NIfTI files: which files are a volume, and what is none.

Geometry is read from the tags of every slice. A series whose slices do not lie in equal steps above
one another is refused: a NIfTI file could not say where they are.
"""

import locale
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np

from .libraries import optional_library

PATIENT, SERIES_UID, NUMBER, DESCRIPTION = '0010|0020', '0020|000e', '0020|0011', '0008|103e'
IMAGE_TYPE, POSITION, ORIENTATION = '0008|0008', '0020|0032', '0020|0037'
PIXEL_SPACING, ROWS, COLUMNS, FRAMES = '0028|0030', '0028|0010', '0028|0011', '0028|0008'
MILLIMETRES, ANGLES = 0.01, 1e-3  # differences of positions and directions that do not count


class Series(NamedTuple):
    """Files of a series.

    Attributes:
        folder (str): Folder that holds them.
        uid (str): Its identifier.
        files (tuple[str, ...]): Paths.
        tags (tuple[dict, ...]): Text of the tags of each file, by ``'group|element'``.
    """

    folder: str
    uid: str
    files: Tuple[str, ...]
    tags: Tuple[Dict[str, str], ...]

    @property
    def label(self) -> str:
        """What messages call the series."""
        first = self.tags[0]
        words = [first.get(DESCRIPTION, ''), f'number {first.get(NUMBER, "?")}']
        return f'series {" ".join(filter(None, words))} in {self.folder}'

    @property
    def name(self) -> str:
        """Name of a file: patient, number and description of the series."""
        first = self.tags[0]
        parts = [first.get(PATIENT, '') or 'unknown', first.get(NUMBER, ''), first.get(DESCRIPTION)]
        return '_'.join(filter(None, (_valid(part or '') for part in parts)))


class NoVolumeError(ValueError):
    """A series is none that was taken as a volume, such as a localizer."""


def simpleitk() -> Any:
    """The library for DICOM.

    Raises:
        ValueError: If it is not installed.
    """
    return optional_library('SimpleITK', 'DICOM series', 'dicom')


@contextmanager
def kept_locale() -> Iterator[None]:
    """Restore the locale, which GDCM sets to ``C``: Python would read text files as ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


@kept_locale()
def find_series(folder: Union[str, Path]) -> List[Series]:
    """All series in a folder and its sub-folders, sorted by folder and identifier.

    Args:
        folder (str | Path): Folder of DICOM files; others are left out.

    Raises:
        FileNotFoundError: If there is no such folder, or no series in it.
        ValueError: If SimpleITK is not installed.
    """
    sitk = simpleitk()
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'the folder {folder} does not exist')
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # one line for each file that is no DICOM
    reader, found = sitk.ImageSeriesReader, []
    for below, _, files in sorted(os.walk(folder, followlinks=True)):
        for uid in sorted(reader.GetGDCMSeriesIDs(below)) if files else ():
            paths = tuple(reader.GetGDCMSeriesFileNames(below, uid))
            found.append(Series(below, uid, paths, tuple(_tags(sitk, path) for path in paths)))
    if not found:
        raise FileNotFoundError(f'no DICOM series was found in {folder}')
    return found


def output_names(series: Sequence[Series]) -> List[str]:
    """A name for each series, without suffix; equal ones are numbered, and no two are equal then.

    Names count as equal in upper and lower case, which some file systems do not tell apart.

    Args:
        series (Sequence[Series]): In the order of :func:`find_series`.
    """
    own = {one_series.name.lower() for one_series in series}
    used: Set[str] = set()
    names = []
    for one_series in series:
        name = one_series.name
        number = 2
        while name.lower() in used:
            numbered = f'{one_series.name}_{number}'
            if numbered.lower() not in own:  # else it is the name of another series
                name = numbered
            number += 1
        used.add(name.lower())
        names.append(name)
    return names


@kept_locale()
def convert_series(series: Series, path: Union[str, Path]) -> Tuple[int, ...]:
    """Write a series as a NIfTI file with its geometry.

    Args:
        series (Series): From :func:`find_series`.
        path (str | Path): File that does not exist yet.

    Returns:
        tuple[int, ...]: Shape ``(X, Y, Z)``.

    Raises:
        NoVolumeError: If it is a localizer or a single slice.
        ValueError: If the file exists, or slices are missing, of mixed spacing, size or direction,
            several at one position, or cannot be read.
    """
    path = Path(path)
    files = sorted_files(series)
    if path.exists():
        raise ValueError(f'{series.label}: {path} exists already and is kept')
    sitk = simpleitk()
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{os.getpid()}_{path.name}')
    try:
        image = reader.Execute() if len(files) > 1 else sitk.ReadImage(files[0])
        sitk.WriteImage(image, str(draft))
        os.replace(draft, path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f'{series.label}: cannot be read or written ({reason})') from None
    finally:
        draft.unlink(missing_ok=True)
    return tuple(image.GetSize())


def sorted_files(series: Series) -> List[str]:
    """Files of a series in the order of their positions, after all checks.

    Args:
        series (Series): From :func:`find_series`.

    Raises:
        NoVolumeError: If it is a localizer or a single slice.
        ValueError: Naming what is wrong with the slices.
    """
    first = series.tags[0]
    if 'LOCALIZER' in first.get(IMAGE_TYPE, '').upper():
        raise NoVolumeError(f'{series.label}: is a localizer, no volume')
    if len(series.files) == 1:
        if int(first.get(FRAMES) or 1) > 1:
            return list(series.files)
        raise NoVolumeError(f'{series.label}: has a single slice, no volume')
    for tag, what, tolerance in (
        (ROWS, 'numbers of rows', 0.0),
        (COLUMNS, 'numbers of columns', 0.0),
        (PIXEL_SPACING, 'pixel spacings', ANGLES),
        (ORIENTATION, 'directions', ANGLES),
    ):
        _check_equal(series, tag, what, tolerance)
    rows, columns = np.reshape(_numbers(series, 0, ORIENTATION, 6), (2, 3))
    normal = np.cross(rows, columns)
    positions = np.array([_numbers(series, k, POSITION, 3) for k in range(len(series.files))])
    order = np.argsort(positions @ normal, kind='stable')
    _check_steps(series, positions[order], normal, [series.files[k] for k in order])
    return [series.files[k] for k in order]


def _check_equal(series: Series, tag: str, what: str, tolerance: float) -> None:
    """Every slice has the tag, with the numbers of the first."""
    length = len(series.tags[0].get(tag, '').split('\\'))
    values = np.array([_numbers(series, k, tag, length) for k in range(len(series.files))])
    if not np.allclose(values, values[0], rtol=0, atol=tolerance):
        other = int(np.abs(values - values[0]).max(axis=1).argmax())
        raise ValueError(
            f'{series.label}: slices have different {what}, '
            f'{series.tags[0][tag]} in {_base(series, 0)} and {series.tags[other][tag]} in '
            f'{_base(series, other)}'
        )


def _check_steps(
    series: Series, positions: np.ndarray, normal: np.ndarray, files: Sequence[str]
) -> None:
    """Slices lie in equal steps along their normal."""
    moves = np.diff(positions, axis=0)
    steps = moves @ normal
    usual = float(np.median(steps))
    if (steps <= MILLIMETRES).any():
        k = int(steps.argmin())
        raise ValueError(
            f'{series.label}: {Path(files[k]).name} and {Path(files[k + 1]).name} are at one '
            'position: several time points or echoes, keep one of them in a folder of its own'
        )
    if (np.abs(moves - steps[:, None] * normal) > MILLIMETRES).any():
        raise ValueError(f'{series.label}: slices are shifted sideways (tilted gantry)')
    k = int(np.abs(steps - usual).argmax())
    if abs(steps[k] - usual) <= max(MILLIMETRES, usual * 0.01):
        return
    between = f'between {Path(files[k]).name} and {Path(files[k + 1]).name}'
    missing = round(steps[k] / usual) - 1
    if missing > 0 and abs(steps[k] / usual - missing - 1) < 0.05:
        raise ValueError(
            f'{series.label}: {missing} slices are missing {between}, which are {steps[k]:g} mm '
            f'apart, others {usual:g} mm'
        )
    raise ValueError(
        f'{series.label}: slices have mixed spacing, {steps[k]:g} mm {between}, others {usual:g} mm'
    )


def _tags(sitk: Any, path: str) -> Dict[str, str]:
    """Text of the tags of a file that are used here."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO('GDCMImageIO')
    reader.SetFileName(path)
    reader.ReadImageInformation()
    used = (PATIENT, SERIES_UID, NUMBER, DESCRIPTION, IMAGE_TYPE, POSITION, ORIENTATION)
    return {
        tag: reader.GetMetaData(tag).strip(' \0')
        for tag in (*used, PIXEL_SPACING, ROWS, COLUMNS, FRAMES)
        if reader.HasMetaDataKey(tag)
    }


def _numbers(series: Series, k: int, tag: str, length: int) -> List[float]:
    """Numbers of a tag of a file."""
    text: Optional[str] = series.tags[k].get(tag)
    try:
        values = [float(part) for part in (text or '').split('\\')]
    except ValueError:
        values = []
    if len(values) != length:
        raise ValueError(
            f'{series.label}: {_base(series, k)} lacks the tag ({tag}) of its geometry'
        )
    return values


def _base(series: Series, k: int) -> str:
    return Path(series.files[k]).name


def _valid(text: str) -> str:
    """Text as a part of the name of a file."""
    return re.sub(r'[^A-Za-z0-9.-]+', '-', text).strip('-.')
