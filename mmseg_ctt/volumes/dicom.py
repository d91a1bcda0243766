# Copyright (c) mmseg_ctt contributors.
"""DICOM series as NIfTI files: which files are a volume, and what is none.

Geometry is read from the tags of every slice. A series whose slices do not lie in equal steps above
one another is refused: a NIfTI file could not say where they are.
"""

import gzip
import os
import zlib
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

from .dicom_geometry import NoVolumeError, sorted_files
from .dicom_series import Series, find_series, kept_locale, simpleitk, unread_files

__all__ = [
    'NoVolumeError',
    'Series',
    'convert_series',
    'find_series',
    'kept_locale',
    'output_names',
    'sorted_files',
    'unread_files',
]
NOTE = slice(148, 228)  # bytes of the text of a NIfTI header


def output_names(series: Sequence[Series], folder: Union[str, Path, None] = None) -> List[str]:
    """A name for each series, without suffix; equal ones are numbered, and no two are equal then.

    Names count as equal in upper and lower case, which some file systems do not tell apart. A
    series whose volume is in the folder keeps its name, whatever series have come since.

    Args:
        series (Sequence[Series]): In the order of :func:`find_series`.
        folder (str | Path, optional): Where volumes of earlier calls are. Defaults to None: there
            are none.
    """
    known = {} if folder is None else _marks(Path(folder))
    kept = [_kept_name(one_series, known) for one_series in series]
    own = {one_series.name.lower() for one_series in series}
    used: Set[str] = {name.lower() for name, mark in known.items() if mark}
    names = []
    for one_series, name in zip(series, kept):
        if name is None:
            name = _free_name(one_series.name, own, used)
        used.add(name.lower())
        names.append(name)
    return names


def _free_name(name: str, own: Set[str], used: Set[str]) -> str:
    """The name itself, or with a number; a numbered one may not be that of another series."""
    numbered, number = name, 1
    while numbered.lower() in used or (number > 1 and numbered.lower() in own):
        number += 1
        numbered = f'{name}_{number}'
    return numbered


def _kept_name(series: Series, known: Mapping[str, str]) -> Optional[str]:
    """Name of the volume that was made of a series; None where there is none."""
    stem = series.name.lower()
    found = [
        name
        for name, mark in known.items()
        if series.is_of(mark) and f'{name.lower()}_'.startswith(f'{stem}_')
    ]
    return next((name for name in found if known[name] == series.mark), next(iter(found), None))


def _marks(folder: Path) -> Dict[str, str]:
    """For each volume in a folder the mark of its series; empty where its header has none."""
    found = {}
    for path in sorted(folder.glob('[!.]*.nii.gz')):
        try:
            with gzip.open(path) as opened:
                text = opened.read(NOTE.stop)[NOTE].rstrip(b'\0').decode('ascii', 'replace')
        except (OSError, EOFError, zlib.error):
            text = ''  # no such file, whose name is kept as any other
        found[path.name[: -len('.nii.gz')]] = text if text.startswith('DICOM series') else ''
    return found


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
        image.SetMetaData('ITK_FileNotes', series.mark)
        sitk.WriteImage(image, str(draft))
        os.replace(draft, path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f'{series.label}: cannot be read or written ({reason})') from None
    finally:
        draft.unlink(missing_ok=True)
    return tuple(image.GetSize())
