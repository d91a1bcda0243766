# Copyright (c) mmseg_ctt contributors.
"""Names and colours of classes: of the user, of ``meta.json``, or of a list that tools write."""

import csv
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

from ...datasets.colour_masks import check_palette, pack, palette_of
from ...datasets.folder import read_meta
from ...datasets.lists import read_lines

META = 'meta.json'
LISTS = ('classes.txt', 'class_names.txt', 'codes.txt', 'labels.txt')  # a name a line
CVAT = 'labelmap.txt'  # label:color_rgb:parts:actions
ROBOFLOW = '_classes.csv'  # Pixel Value, Class
GIVEN = '--classes'


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
        return _checked(list(given), [], GIVEN)
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
    lines = {number: line.strip() for number, line in enumerate(read_lines(path), 1)}
    lines = {number: line for number, line in lines.items() if line and not line.startswith('#')}
    if path.name == CVAT:
        return _of_cvat(path, lines)
    names = _of_roboflow(path, lines) if path.name == ROBOFLOW else list(lines.values())
    return _checked(names, [], str(path))


def _of_cvat(path: Path, lines: Mapping[int, str]) -> ClassNames:
    names: List[str] = []
    colours: List[int] = []
    for number, line in lines.items():
        name, *rest = line.split(':')
        rgb = [value.strip() for value in rest[0].split(',')] if rest else []
        if len(rgb) != 3 or not all(v.isdecimal() and int(v) < 256 for v in rgb):
            raise ValueError(
                f'{path}, line {number}: {line!r} is not name:red,green,blue:: with values from 0 '
                f'to 255: correct it, or remove the file and name the classes by {GIVEN}'
            )
        names.append(name)
        colours.append(pack([int(value) for value in rgb]))
    return _checked(names, check_palette(colours, str(path)), str(path))


def _of_roboflow(path: Path, lines: Mapping[int, str]) -> List[str]:
    found: Dict[int, str] = {}
    for number, line in list(lines.items())[1:]:
        cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]
        if len(cells) < 2:
            continue
        if not cells[0].isdecimal() or int(cells[0]) in found:
            raise ValueError(
                f'{path}, line {number}: {cells[0]!r} is no id, or one that stands twice: correct '
                f'it, or name the classes by {GIVEN}'
            )
        found[int(cells[0])] = cells[1]
    if sorted(found) != list(range(len(found))):
        raise ValueError(f'{path}: ids must be 0, 1, 2 and so on; name the classes by {GIVEN}')
    return [found[k] for k in sorted(found)]


def _checked(names: List[str], palette: List[int], origin: str) -> ClassNames:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f'{origin} names {twice[0]} twice')
    return ClassNames(list(names), palette, origin)
