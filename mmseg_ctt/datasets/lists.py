# Copyright (c) mmseg_ctt contributors.
"""Lists of images: the reader of all tools and data sets.

A list of this package names one image a line by its stem, the path below the image folder without
suffix. The suffix may be given too, in upper or lower case. Names may hold spaces. Lists of other
projects may hold two paths a line, an image and its mask, or be a CSV table.
"""

import csv
import re
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ..volumes.address import VOLUME_SUFFIXES
from .image_files import IMAGE_SUFFIXES

PathLike = Union[str, Path]

# Suffixes of the entries of a line; the lists of ACDC name one HDF5 file per slice.
ENTRY_SUFFIXES = (*IMAGE_SUFFIXES, *VOLUME_SUFFIXES)
# White space or a comma behind a file name separates an image and its mask, elsewhere it is part of
# a name.
_GAP = re.compile(rf'({"|".join(map(re.escape, ENTRY_SUFFIXES))})(?:\s*[,;]\s*|\s+)', re.IGNORECASE)
TABLE_SUFFIXES = ('.csv', '.tsv')
NO_MASK = 'None'  # in the place of a mask in UniMatch V2's lists of further images
IMAGE_COLUMNS = (
    *('image', 'images', 'img', 'image_path', 'img_path', 'image_id', 'id'),
    *('filename', 'file_name', 'file', 'path', 'name', 'stem'),
)
MASK_COLUMNS = (
    *('mask', 'masks', 'mask_path', 'label', 'labels', 'label_path', 'annotation', 'gt'),
    *('seg_map', 'seg_map_path', 'segmentation'),
)
IMPORT = 'tools/dataset_converters/make_split.py import'


class Entry(NamedTuple):
    """Image of a list.

    Attributes:
        image (str): Path or id, as in the file.
        mask (str | None): Path of its mask, where the list names masks.
        where (str): File and line, for messages.
        unmasked (bool): Whether the list says that it has none. Defaults to False.
    """

    image: str
    mask: Optional[str]
    where: str
    unmasked: bool = False


def read_lines(path: PathLike) -> List[str]:
    """Lines of a UTF-8 text file, with or without a byte order mark.

    Args:
        path (str | Path): Text file.

    Returns:
        list[str]: The lines without their ends.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no UTF-8 text.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the list {path} does not exist')
    try:
        lines = path.read_text(encoding='utf-8-sig').split('\n')  # names may hold other line ends
        return lines if lines[-1] else lines[:-1]
    except UnicodeDecodeError:
        raise ValueError(f'{path} is not a text file') from None


def has_text(path: PathLike) -> bool:
    """Whether a file has a line that is not blank."""
    with open(path, 'rb') as lines:
        return any(line.strip() for line in lines)


def read_list(path: PathLike) -> List[str]:
    """Read a list, one name a line; blank lines are skipped.

    Args:
        path (str | Path): Text file in UTF-8.

    Returns:
        list[str]: The names as they stand, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text, or a name occurs twice.
    """
    names = [line.strip() for line in read_lines(path) if line.strip()]
    check_unique(names, path)
    return names


def read_stems(path: PathLike, files: Mapping[str, str], folder: PathLike) -> List[str]:
    """Read a list as stems of files that exist.

    Args:
        path (str | Path): Text file in UTF-8; names with or without their suffix.
        files (Mapping[str, str]): Stems and paths, as from ``find_files``.
        folder (str | Path): Folder of the files, for messages.

    Returns:
        list[str]: Stems in the order of the file.

    Raises:
        FileNotFoundError: If there is no such list, or a file that it names is missing.
        ValueError: If it is no text, or names a file twice.
    """
    stems: List[str] = []
    absent: List[str] = []
    for name in read_list(path):
        stem = stem_in(name, files)
        if stem is None:
            absent.append(name)
        else:
            stems.append(stem)
    if absent:
        raise FileNotFoundError(
            f'{len(absent)} images listed in {path} are not in {folder}, such as {absent[0]}'
            f'{_remedy(absent[0])}'
        )
    check_unique(stems, path)
    return stems


def stem_in(name: str, files: Mapping[str, str]) -> Optional[str]:
    """Stem of a file by its name with or without suffix; None if there is no such file.

    Args:
        name (str): Line of a list.
        files (Mapping[str, str]): Stems and paths, as from ``find_files``.
    """
    return next((stem for stem in (name, without_suffix(name)) if stem in files), None)


def _remedy(name: str) -> str:
    """What to do about a name that is no stem of a file; empty where it may be one."""
    paths = len(_GAP.split(name)) > 2 or '\t' in name or ',' in name
    if not paths and without_suffix(name) == name:
        return ''
    return f': a list has one name below this folder a line; {IMPORT} converts other lists'


def without_suffix(name: str) -> str:
    """Name of a file without its suffix; a name without one of :data:`ENTRY_SUFFIXES` is kept."""
    ending = next((end for end in ENTRY_SUFFIXES if name.lower().endswith(end)), '')
    return name[: len(name) - len(ending)]


def check_names(names: Sequence[str], where: PathLike) -> None:
    """Check that :func:`read_list` gives the names of a list back.

    Args:
        names (Sequence[str]): To be written, one a line.
        where (str | Path): List or folder of lists, for the message.

    Raises:
        ValueError: Naming one that it does not give back.
    """
    for name in names:
        kept = name.encode('utf-8', 'ignore').decode('utf-8-sig').strip()
        if kept != name or not name or '\n' in name or '\r' in name:
            raise ValueError(
                f'{where} cannot list the image {name!r}: the name is empty, begins or ends with '
                'white space, or has a line break or a sign that is not in UTF-8; rename it'
            )


def check_unique(stems: Sequence[str], where: PathLike) -> None:
    """Check that no stem is named twice.

    Args:
        stems (Sequence[str]): The stems.
        where (str | Path): Origin of the list, for the message.

    Raises:
        ValueError: If a stem occurs twice.
    """
    known = set()
    for stem in stems:
        if stem in known:
            raise ValueError(f'{where} names {stem} twice')
        known.add(stem)


# ---- lists of other projects


def read_entries(path: PathLike) -> List[Entry]:
    """Read a list of another project: names, images with masks, or a CSV table.

    Two paths of a line stand between tabs, or behind one another where the first ends like an
    image. A table has a suffix of :data:`TABLE_SUFFIXES` or a header of several known words.

    Args:
        path (str | Path): Text file in UTF-8.

    Returns:
        list[Entry]: Images in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text or holds no image, or a line has not one or two entries.
    """
    lines = {number: line for number, line in enumerate(read_lines(path), 1) if line.strip()}
    if not lines:
        raise ValueError(f'{path} holds no line (some published files are empty)')
    delimiter = _delimiter(path, next(iter(lines.values())))
    rows = _table(path, lines, delimiter) if delimiter else _rows(lines)
    entries = [_entry(cells, f'{path}, line {number}') for number, cells in rows]
    if not entries:
        raise ValueError(f'{path} has a header and no image')
    return entries


def _rows(lines: Mapping[int, str]) -> Iterator[Tuple[int, List[str]]]:
    """Number and entries of each line of a plain list."""
    for number, line in lines.items():
        line = line.strip()
        yield number, [cell.strip() for cell in _GAP.sub('\\1\t', line).split('\t')]


def _entry(cells: Sequence[str], where: str) -> Entry:
    if len(cells) not in (1, 2) or not cells[0]:
        raise ValueError(f'{where} has {len(cells)} entries: use an image, or an image and a mask')
    mask = cells[1] if len(cells) == 2 and cells[1] != NO_MASK else None
    if mask is not None and not mask.lower().endswith(ENTRY_SUFFIXES):
        raise ValueError(f'{where}: {mask!r} is not the path of a mask')
    return Entry(cells[0], mask, where, len(cells) == 2 and mask is None)


def _delimiter(path: PathLike, first: str) -> str:
    """Delimiter of a table; empty for a plain list."""
    found = next((mark for mark in '\t;,' if mark in first), '')
    words = [word.strip().lower() for word in first.split(found)] if found else []
    header = any(word in IMAGE_COLUMNS for word in words)
    table = Path(path).suffix.lower() in TABLE_SUFFIXES
    return (found or ',') if table or header else ''


def _table(
    path: PathLike, lines: Mapping[int, str], delimiter: str
) -> Iterator[Tuple[int, List[str]]]:
    """Number, image and mask of each row of a table."""
    rows = dict(zip(lines, csv.reader(lines.values(), delimiter=delimiter, skipinitialspace=True)))
    (number, first), *_ = rows.items()
    words = [word.strip().lower() for word in first]
    columns = [_column(words, IMAGE_COLUMNS), _column(words, MASK_COLUMNS)]
    if columns[0] is not None:
        rows.pop(number)
    elif len(first) > 2 or not first[0].lower().endswith(ENTRY_SUFFIXES):
        raise ValueError(
            f'{path} is a table whose line {number} names no column of images: call it '
            f'"{IMAGE_COLUMNS[0]}" (and that of the masks "{MASK_COLUMNS[0]}"), or write one image '
            'a line'
        )
    else:
        columns = list(range(len(first)))
    for number, row in rows.items():
        cells = [row[k].strip() for k in columns if k is not None and k < len(row)]
        yield number, [cell for k, cell in enumerate(cells) if cell or k == 0]


def _column(words: Sequence[str], names: Sequence[str]) -> Optional[int]:
    return next((k for k, word in enumerate(words) if word in names), None)


def mask_endings(entries: Sequence[Entry], stems: Sequence[str]) -> Dict[Optional[str], Entry]:
    """How masks of a list are called after their images.

    Args:
        entries (Sequence[Entry]): Images; those without a mask are skipped.
        stems (Sequence[str]): Their stems.

    Returns:
        dict: What follows the stem in the path of the mask, such as ``'_GT.png'``, or None where
        the stem is not in it; with an image for each.
    """
    found: Dict[Optional[str], Entry] = {}
    for entry, stem in zip(entries, stems):
        if entry.mask is None:
            continue
        path = '/' + entry.mask.replace('\\', '/').lstrip('/')
        head, stem_in_it, ending = path.rpartition(f'/{stem}')
        found.setdefault(ending if stem_in_it and '/' not in ending else None, entry)
    return found
