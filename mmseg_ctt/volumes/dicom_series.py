# Copyright (c) mmseg_ctt contributors.
"""DICOM series of a folder: which files are one series, and which are in none."""

import filecmp
import hashlib
import locale
import os
import re
import tempfile
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
        place (str): Its folder below the one that was searched. Defaults to that itself.
        is_part (bool): Whether other folders hold further series of this identifier. Defaults to
            False.
    """

    folder: str
    uid: str
    files: Tuple[str, ...]
    tags: Tuple[Dict[str, str], ...]
    copies: Tuple[str, ...] = ()
    place: str = '.'
    is_part: bool = False

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
        """Text in the header of its volume: hashes of its identifier and of its place."""
        uid = f'{self.tags[0].get(PATIENT, "")}/{self.uid}'
        return f'DICOM series {_hash(uid)} {_hash(self.place)}'

    def is_of(self, mark: str) -> bool:
        """Whether a volume with this mark was made of the series.

        The place counts only where other folders hold series of the same identifier.
        """
        return mark == self.mark or (not self.is_part and mark.split()[:3] == self.mark.split()[:3])


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
    a file that is there twice counts once. Where two folders hold one position, such as time points
    or echoes that were sorted into folders, each folder is a series.

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
    for below, _, names in sorted(os.walk(folder, followlinks=True)):
        with _regular_files(below, names) as readable:
            for uid in sorted(reader.GetGDCMSeriesIDs(readable)) if names else ():
                for read in reader.GetGDCMSeriesFileNames(readable, uid):
                    path, tags = os.path.join(below, os.path.basename(read)), _tags(sitk, read)
                    found.setdefault((uid, tags.get(PATIENT, '')), []).append((path, tags))
    if not found:
        damaged = len(unread_files(folder, ()))
        more = f'; {damaged} DICOM files are damaged or no images' if damaged else ''
        raise FileNotFoundError(f'no DICOM series was found in {folder}{more}')
    series = [part for (uid, _), files in found.items() for part in _parts(uid, files, folder)]
    return sorted(series, key=lambda part: (os.path.dirname(part.files[0]), part.uid))


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
    """Whether a regular file that can be read begins as those of DICOM do."""
    try:
        if not os.path.isfile(path):  # a pipe would wait for a writer
            return False
        with open(path, 'rb') as opened:
            return opened.read(132)[128:] == b'DICM'
    except OSError:
        return False


@contextmanager
def _regular_files(folder: str, names: Sequence[str]) -> Iterator[str]:
    """Folder itself, or one of links to its regular files where it holds others.

    GDCM opens whatever is in a folder, and waits for ever on a pipe.
    """
    regular = [name for name in names if os.path.isfile(os.path.join(folder, name))]
    if len(regular) == len(names):
        yield folder
        return
    with tempfile.TemporaryDirectory() as links:
        for name in regular:
            os.symlink(os.path.abspath(os.path.join(folder, name)), os.path.join(links, name))
        yield links


def _parts(uid: str, files: Sequence[File], root: Union[str, Path]) -> List[Series]:
    """One series of all folders, or one of each folder where two of them hold one position."""
    whole = _series(uid, files, root)
    folders: Dict[str, List[File]] = {}
    for path, tags in zip(whole.files, whole.tags):
        folders.setdefault(os.path.dirname(path), []).append((path, tags))
    places = [{_place_of_slice(tags) for _, tags in inside} for inside in folders.values()]
    if len({place for inside in places for place in inside}) == sum(map(len, places)):
        return [whole]
    copies = [path for path in whole.copies if os.path.dirname(path) not in folders]
    parts: List[Series] = []
    for below in folders:  # a copy of a slice in another folder belongs to this one too
        inside = [file for file in files if os.path.dirname(file[0]) == below]
        parts.append(_series(uid, inside, root)._replace(is_part=True))
    first = parts[0]._replace(copies=(*parts[0].copies, *copies))
    return [first, *parts[1:]]


def _place_of_slice(tags: Dict[str, str]) -> Tuple[str, ...]:
    """Position and direction of a slice, numbers of one value written in one way.

    Files without them all have the same one: nothing tells that they belong together.
    """
    found = []
    for tag, digits in ((POSITION, 2), (ORIENTATION, 3)):  # hundredths of a millimetre
        for part in tags.get(tag, '').split('\\'):
            try:
                found.append(str(round(float(part), digits) + 0.0))
            except ValueError:
                found.append(part)
    return tuple(found)


def _series(uid: str, files: Sequence[File], root: Union[str, Path]) -> Series:
    """Series of its files, of which equal ones count once."""
    known: Dict[str, List[str]] = {}
    kept, copies = [], []
    for path, tags in files:
        others = known.setdefault(tags.get(FILE_UID, path), [])
        if any(filecmp.cmp(other, path, shallow=False) for other in others):
            copies.append(path)
        else:
            others.append(path)
            kept.append((path, tags))
    paths, tags_of = zip(*kept)
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    place = os.path.relpath(folder, root).replace(os.sep, '/')
    return Series(folder, uid, paths, tags_of, tuple(copies), place)


def _tags(sitk: Any, path: str) -> Dict[str, str]:
    """Text of the tags of a file that are used here."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO('GDCMImageIO')
    reader.SetFileName(path)
    reader.ReadImageInformation()
    return {tag: reader.GetMetaData(tag).strip(' \0') for tag in TAGS if reader.HasMetaDataKey(tag)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()[:16]


def _valid(text: str) -> str:
    """Text as a part of the name of a file."""
    return re.sub(r'[^A-Za-z0-9.-]+', '-', text).strip('-.')
