# Copyright (c) mmseg_ctt contributors.
"""DICOM series of a folder: which files are one series, and which are in none."""

import filecmp
import hashlib
import locale
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

from .libraries import optional_library

PATIENT, SERIES_UID, NUMBER, DESCRIPTION = '0010|0020', '0020|000e', '0020|0011', '0008|103e'
IMAGE_TYPE, POSITION, ORIENTATION = '0008|0008', '0020|0032', '0020|0037'
PIXEL_SPACING, ROWS, COLUMNS, FRAMES = '0028|0030', '0028|0010', '0028|0011', '0028|0008'
FILE_UID, FILE_CLASS, INCREMENT = '0008|0018', '0008|0016', '0028|0009'
TAGS = (
    *(PATIENT, SERIES_UID, NUMBER, DESCRIPTION, IMAGE_TYPE, POSITION, ORIENTATION),
    *(PIXEL_SPACING, ROWS, COLUMNS, FRAMES, FILE_UID, FILE_CLASS, INCREMENT),
)
File = Tuple[str, Dict[str, str]]  # path, and its tags


class Series(NamedTuple):
    """Files of a series.

    Attributes:
        folder (str): Deepest folder that holds all of them.
        uid (str): Its identifier.
        files (tuple[str, ...]): Paths.
        tags (tuple[dict, ...]): Text of the tags of each file, by ``'group|element'``.
        copies (tuple[str, ...]): Further files, equal to one of them. Defaults to none.
    """

    folder: str
    uid: str
    files: Tuple[str, ...]
    tags: Tuple[Dict[str, str], ...]
    copies: Tuple[str, ...] = ()

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

    @property
    def mark(self) -> str:
        """Text in the header of its volume, another one for every series."""
        text = f'{self.tags[0].get(PATIENT, "")}/{self.uid}'
        return f'DICOM series {hashlib.sha256(text.encode()).hexdigest()[:16]}'


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

    Files of one patient and one identifier are one series, also where they lie in several folders;
    a file that is there twice counts once.

    Args:
        folder (str | Path): Folder of DICOM files; others are left out, see :func:`unread_files`.

    Raises:
        FileNotFoundError: If there is no such folder, or no series in it.
        ValueError: If SimpleITK is not installed.
    """
    sitk = simpleitk()
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'the folder {folder} does not exist')
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # one line for each file that is no DICOM
    reader = sitk.ImageSeriesReader()
    found: Dict[Tuple[str, str], List[File]] = {}
    for below, _, files in sorted(os.walk(folder, followlinks=True)):
        for uid in sorted(reader.GetGDCMSeriesIDs(below)) if files else ():
            for path in reader.GetGDCMSeriesFileNames(below, uid):
                tags = _tags(sitk, path)
                found.setdefault((uid, tags.get(PATIENT, '')), []).append((path, tags))
    if not found:
        damaged = len(unread_files(folder, ()))
        more = f'; {damaged} DICOM files are damaged or no images' if damaged else ''
        raise FileNotFoundError(f'no DICOM series was found in {folder}{more}')
    return [_series(uid, files) for (uid, _), files in found.items()]


def unread_files(folder: Union[str, Path], series: Sequence[Series]) -> List[str]:
    """DICOM files that are in no series: they are damaged, or no images.

    Args:
        folder (str | Path): Searched with its sub-folders.
        series (Sequence[Series]): Of :func:`find_series` of this folder.

    Returns:
        list[str]: Paths, sorted.
    """
    known = {path for one_series in series for path in (*one_series.files, *one_series.copies)}
    paths = [
        os.path.join(below, name)
        for below, _, files in os.walk(folder, followlinks=True)
        for name in files
        if name.upper() != 'DICOMDIR'  # the table of contents of a medium
    ]
    return sorted(path for path in paths if path not in known and _is_dicom(path))


def _is_dicom(path: str) -> bool:
    """Whether a file begins as those of DICOM do."""
    with open(path, 'rb') as opened:
        return opened.read(132)[128:] == b'DICM'


def _series(uid: str, files: Sequence[File]) -> Series:
    """Series of its files, of which equal ones count once."""
    first: Dict[str, str] = {}
    kept, copies = [], []
    for path, tags in files:
        known = first.setdefault(tags.get(FILE_UID, path), path)
        if known != path and filecmp.cmp(known, path, shallow=False):
            copies.append(path)
        else:
            kept.append((path, tags))
    paths, tags_of = zip(*kept)
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    return Series(folder, uid, paths, tags_of, tuple(copies))


def _tags(sitk: Any, path: str) -> Dict[str, str]:
    """Text of the tags of a file that are used here."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO('GDCMImageIO')
    reader.SetFileName(path)
    reader.ReadImageInformation()
    return {tag: reader.GetMetaData(tag).strip(' \0') for tag in TAGS if reader.HasMetaDataKey(tag)}


def _valid(text: str) -> str:
    """Text as a part of the name of a file."""
    return re.sub(r'[^A-Za-z0-9.-]+', '-', text).strip('-.')
