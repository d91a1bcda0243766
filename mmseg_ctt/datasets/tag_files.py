# Copyright (c) mmseg_ctt contributors.
"""Image-level labels (tags) by the stem of their image: readers of JSON, CSV, folders and masks.

- JSON: ``{"a/b": ["cow", "grass"], "c": []}``. An empty list is an image that shows no class.
- CSV with a column for each class: ``image,cow,grass`` and ``a/b,1,0``.
- CSV with a column of names: ``image,tags`` and ``a/b,cow grass``. Names that hold spaces are
  separated by ``;``, ``,`` or ``|``.

A stem is the path of an image below the folder of the images; its suffix may be given too.
"""

import csv
import difflib
import json
import re
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from .lists import IMAGE_COLUMNS, PathLike, read_lines, stem_in

Tags = Dict[str, Tuple[str, ...]]  # names of classes by name of image
TAG_COLUMNS = ('tags', 'tag', 'classes', 'class', 'labels', 'label')
SHOWN = 3  # images named in a message
NAMED = 30  # classes named in a message
TRUE, FALSE = ('1', '1.0', 'true'), ('0', '0.0', 'false')


class ClassNames:
    """Names that a tag may have.

    Args:
        classes (Sequence[str]): Classes of the data set, in order.
        background (str, optional): Name of class 0, where that is no tag. Defaults to None.
        known (Sequence[str], optional): All names that files of tags may hold; those that the data
            set leaves out are dropped. Defaults to None: the classes.
    """

    def __init__(
        self,
        classes: Sequence[str],
        background: Optional[str] = None,
        known: Optional[Sequence[str]] = None,
    ) -> None:
        self.ids = {name: k for k, name in enumerate(classes) if name != background}
        self.background = background
        self.known = set(known or ()) | set(self.ids)

    def check(self, name: str, where: str) -> None:
        """A name is a tag.

        Args:
            name (str): Name in a file.
            where (str): File and image, for the message.

        Raises:
            ValueError: If it is no class, or the background.
        """
        if name == self.background:
            raise ValueError(
                f'{where} has the tag {name!r}: any image may show the background, which is no '
                'tag; remove it (an image without other classes has an empty list)'
            )
        if name not in self.known:
            raise ValueError(f'{where} has the tag {name!r}, which is no class: {self._hint(name)}')

    def _hint(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.known, 1)
        same = [known for known in self.known if known.lower() == name.lower()]
        found = same or near
        names = [known for known in (*self.ids, *sorted(self.known - set(self.ids)))][:NAMED]
        more = f' and {len(self.known) - NAMED} more' if len(self.known) > NAMED else ''
        classes = f'classes are {", ".join(names)}{more}'
        return f'is it {found[0]!r}? ({classes})' if found else classes

    def indices(self, names: Iterable[str]) -> Tuple[int, ...]:
        """Ids of the data set's classes, in order; names that it leaves out are dropped."""
        return tuple(sorted({self.ids[name] for name in names if name in self.ids}))


def read_tags(path: PathLike, names: ClassNames) -> Tags:
    """Tags of a file, by the name of their image as it stands there.

    Args:
        path (str | Path): Ends in ``.json``, ``.csv`` or ``.tsv``; see the head of this module.
        names (ClassNames): Names that tags may have.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: Names the file, and the line or image that is wrong.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'the file of tags {path} does not exist')
    read = _read_json if Path(path).suffix.lower() == '.json' else _read_csv
    tags: Tags = {}
    for image, found, where in read(path, names):
        if image in tags:
            raise ValueError(f'{path} names the image {image} twice')
        for name in found:
            names.check(name, where)
        tags[image] = tuple(found)
    return tags


Row = Tuple[str, List[str], str]  # image, its tags, where they stand


def _read_json(path: PathLike, names: ClassNames) -> Iterator[Row]:
    text = '\n'.join(read_lines(path))
    form = 'write {"image": ["class", ...], ...}, an empty list for an image that shows no class'
    try:
        # a dict keeps the last of two equal keys
        content = json.loads(text, object_pairs_hook=list)
    except ValueError as error:
        raise ValueError(f'{path} is no valid JSON: {error}') from None
    if not text.lstrip().startswith('{') or not all(isinstance(pair, tuple) for pair in content):
        raise ValueError(f'{path} is no JSON object: {form}')
    for image, found in content:
        known = isinstance(found, list) and all(isinstance(name, str) for name in found)
        if not known:
            raise ValueError(f'{path}: tags of the image {image} are no list of names: {form}')
        yield image, found, f'{path}: image {image}'


def _read_csv(path: PathLike, names: ClassNames) -> Iterator[Row]:
    lines = {number: line for number, line in enumerate(read_lines(path), 1) if line.strip()}
    if len(lines) < 2:
        raise ValueError(f'{path} holds no image: write a header, then a line for each image')
    first = next(iter(lines.values()))
    mark = next((mark for mark in '\t;,' if mark in first), ',')
    rows = zip(lines, csv.reader(lines.values(), delimiter=mark, skipinitialspace=True))
    header = [word.strip() for word in next(rows)[1]]
    words = [word.lower() for word in header]
    if len(header) < 2 or words[0] not in IMAGE_COLUMNS:
        raise ValueError(
            f'{path}, line 1 is no header of a table of tags: begin with "image,tags", or with '
            '"image" and a column for each class'
        )
    by_name = len(header) == 2 and words[1] in TAG_COLUMNS and header[1] not in names.known
    if not by_name:
        _check_columns(path, header[1:], names)
    for number, cells in rows:
        cells, where = [cell.strip() for cell in cells], f'{path}, line {number}'
        if len(cells) != len(header) or not cells[0]:
            raise ValueError(f'{where} has {len(cells)} entries, and line 1 {len(header)}')
        found = _names_in(cells[1], names) if by_name else _marked(header, cells, where)
        yield cells[0], found, f'{where}: image {cells[0]}'


def _check_columns(path: PathLike, columns: Sequence[str], names: ClassNames) -> None:
    for name in columns:
        names.check(name, f'{path}, line 1')
        if columns.count(name) > 1:
            raise ValueError(f'{path}, line 1 has two columns {name!r}')


def _marked(header: Sequence[str], cells: Sequence[str], where: str) -> List[str]:
    """Names of the columns that hold a 1."""
    for name, cell in zip(header[1:], cells[1:]):
        if cell.lower() not in (*TRUE, *FALSE):
            raise ValueError(f'{where}: column {name!r} holds {cell!r}, write 0 or 1')
    return [name for name, cell in zip(header[1:], cells[1:]) if cell.lower() in TRUE]


def _names_in(cell: str, names: ClassNames) -> List[str]:
    """Names of a cell, which are divided by spaces where these are in no name."""
    parts = [part.strip() for part in re.split('[;,|]', cell)]
    return [
        name for part in parts for name in ([part] if part in names.known else part.split()) if name
    ]


def tags_by_stem(
    tags: Tags, images: Mapping[str, str], path: PathLike
) -> Tuple[Tags, Optional[str]]:
    """Tags of the images of a folder by stem, and a line about names of no image.

    Args:
        tags (dict): As from :func:`read_tags`.
        images (Mapping[str, str]): Images by stem, as from ``find_images``.
        path (str | Path): The file of tags, for messages.

    Returns:
        tuple[dict, str | None]: None where every name is that of an image.

    Raises:
        ValueError: If no name is that of an image, or two names are of one.
    """
    found: Tags = {}
    unknown = []
    for name, given in tags.items():
        stem = stem_in(name, images)
        if stem is None:
            unknown.append(name)
        elif stem in found:
            raise ValueError(f'{path} names the image {stem} twice, with and without its suffix')
        else:
            found[stem] = given
    if not unknown:
        return found, None
    line = (
        f'{len(unknown)} of {len(tags)} images in {path} are not in the folder of the images, such '
        f'as {", ".join(unknown[:SHOWN])}'
    )
    if found:
        return found, f'{line}: their tags are not used'
    example = f' (an image is {next(iter(images))})' if images else ''
    raise ValueError(f'{line}: write the path of each image below data_prefix.img_path{example}')
