# Copyright (c) mmseg_ctt contributors.
"""Names and colours of classes: of the user, of ``meta.json``, or of a list that tools write."""

import csv
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from ...datasets.colour_masks import pack, palette_of
from ...datasets.folder import read_meta
from ...datasets.lists import read_lines

META = 'meta.json'
LISTS = ('classes.txt', 'class_names.txt', 'codes.txt', 'labels.txt')  # a name a line
CVAT = 'labelmap.txt'  # label:color_rgb:parts:actions
ROBOFLOW = '_classes.csv'  # Pixel Value, Class


class ClassNames(NamedTuple):
    """Classes that are known beforehand.

    Attributes:
        names (list[str]): In the order of their ids; empty if not known.
        palette (list[int]): Colours, see :mod:`mmseg_ctt.datasets.colour_masks`; empty likewise.
        origin (str): Where they come from, for messages.
    """

    names: List[str]
    palette: List[int]
    origin: str


def known_classes(root: Path, given: Optional[Sequence[str]] = None) -> ClassNames:
    """Classes by the user, else by a file of the folder.

    Args:
        root (Path): Folder of the data set.
        given (Sequence[str], optional): Names of the user.

    Raises:
        ValueError: If the user's differ from those of ``meta.json``, which data sets read, a name
            stands twice, or a file is malformed.
    """
    meta = root / META
    if meta.is_file():
        content = read_meta(meta)
        names = content['classes']
        if given and list(given) != names:
            raise ValueError(
                f'--classes {" ".join(given)} differs from {meta}, which names {" ".join(names)} '
                'and is read in training: change or remove that file, or leave --classes out'
            )
        return _checked(names, palette_of(content, str(meta)), str(meta))
    if given:
        return _checked(list(given), [], '--classes')
    return next(map(_read, _files(root)), ClassNames([], [], ''))


def unread_names(root: Path) -> List[str]:
    """A line about a file with other names than ``meta.json``, which is read in its place.

    Args:
        root (Path): Folder of the data set.
    """
    files, meta = _files(root), root / META
    if not meta.is_file() or not files:
        return []
    try:
        differs = _read(files[0]).names != read_meta(meta)['classes']
    except ValueError:  # a file of that name may be of anything
        return []
    line = f'{files[0].name} is not read: {META} names the classes; change or remove that file'
    return [line] if differs else []


def _files(root: Path) -> List[Path]:
    """Files that name classes where there is no ``meta.json``, the first to be read first."""
    found = (root / CVAT, root / ROBOFLOW, *(root / name for name in LISTS))
    return [path for path in found if path.is_file()]


def _read(path: Path) -> ClassNames:
    lines = [line.strip() for line in read_lines(path)]
    lines = [line for line in lines if line and not line.startswith('#')]
    if path.name == CVAT:
        parts = [line.split(':') for line in lines]
        try:
            colours = [pack([int(v) for v in part[1].split(',')]) for part in parts]
        except (ValueError, IndexError):
            raise ValueError(f'{path}: lines must be name:red,green,blue::') from None
        return _checked([part[0] for part in parts], colours, str(path))
    if path.name == ROBOFLOW:
        cells = [row for row in csv.reader(lines[1:]) if len(row) > 1]
        rows = sorted((int(row[0]), row[1].strip()) for row in cells)
        if [number for number, _ in rows] != list(range(len(rows))):
            raise ValueError(
                f'{path}: ids must be 0, 1, 2 and so on; name the classes by --classes'
            )
        lines = [name for _, name in rows]
    return _checked(lines, [], str(path))


def _checked(names: List[str], palette: List[int], origin: str) -> ClassNames:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f'{origin} names {twice[0]} twice')
    return ClassNames(list(names), palette, origin)
