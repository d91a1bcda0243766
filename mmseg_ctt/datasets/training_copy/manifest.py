# Copyright (c) mmseg_ctt contributors.
"""What a training copy holds: its options, and one line with checksums for each file."""

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple, Union

MANIFEST, FILES = 'manifest.json', 'files.jsonl'
VERSION = 1
CHUNK = 2**20  # bytes
TOOL = 'tools/dataset_converters/make_training_copy.py'


class Entry(NamedTuple):
    """File of a copy.

    Attributes:
        source (str): Its original, relative to the root of the data.
        file (str): Path below the folder of the copy.
        bytes (int): Size.
        sha256 (str): Checksum.
        source_bytes (int): Size of the original.
        source_mtime_ns (int): Time of change of the original.
        source_sha256 (str): Checksum of the original.
    """

    source: str
    file: str
    bytes: int
    sha256: str
    source_bytes: int
    source_mtime_ns: int
    source_sha256: str


class Options(NamedTuple):
    """Options of a copy; two copies in one folder must have the same.

    Attributes:
        format (str): ``'jpeg'`` or ``'raw'``.
        quality (int | None): Of JPEG files; None for ``'raw'``.
        scale (tuple[int, int] | None): Width and height that images are scaled down to; None: sizes
            are kept.
        keep_ratio (bool): Whether images keep their aspect ratio, and fit into ``scale``.
        interpolation (str): Of images; masks take the nearest pixel.
        color_type (str): ``'unchanged'`` where images have all bands of the file, ``'color'`` where
            alpha is left out, as in all copies that do not say it.
    """

    format: str
    quality: Optional[int]
    scale: Optional[Tuple[int, int]]
    keep_ratio: bool
    interpolation: str
    color_type: str = 'color'

    def to_json(self) -> Dict[str, Any]:
        """As a dict of JSON types."""
        return {**self._asdict(), 'scale': None if self.scale is None else list(self.scale)}


def checksum(content: bytes) -> str:
    """sha256 of a file's content, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def file_checksum(path: Union[str, Path]) -> str:
    """The same of a file, which may be larger than the memory."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(CHUNK), b''):
            digest.update(chunk)
    return digest.hexdigest()


def read_manifest(folder: Path) -> Dict[str, Any]:
    """``manifest.json`` of a copy.

    Raises:
        FileNotFoundError: If the folder is no training copy.
        ValueError: If the file is damaged or of another version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f'{folder} is no training copy, it has no {MANIFEST}: {TOOL} makes one'
        )
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
        version, scale = manifest['version'], manifest['options']['scale']
    except (ValueError, KeyError, TypeError):
        raise ValueError(f'{path} is damaged: delete {folder} and make the copy again') from None
    if version != VERSION:
        raise ValueError(f'{path} is of version {version}, not {VERSION}: make the copy again')
    manifest['options']['scale'] = None if scale is None else tuple(scale)
    return manifest


def read_options(folder: Path) -> Options:
    """Options of a copy; errors as of :func:`read_manifest`."""
    return Options(**read_manifest(folder)['options'])


def read_entries(folder: Path) -> Dict[str, Entry]:
    """Files of a copy by their originals; a line that was cut off is left out."""
    path, entries = folder / FILES, {}
    if not path.is_file():
        return {}
    for line in path.read_text(encoding='utf-8').split('\n'):  # a name may hold other line ends
        try:
            entry = Entry(**json.loads(line))
        except (ValueError, TypeError):
            continue  # the run was stopped while it wrote this line: the file is made again
        entries[entry.source] = entry
    return entries


def end_last_line(folder: Path) -> None:
    """End a line of ``files.jsonl`` that was cut off, so that the next one is not a part of it."""
    path = folder / FILES
    if path.is_file() and not path.read_bytes().endswith(b'\n'):
        with path.open('a', encoding='utf-8') as lines:
            lines.write('\n')


def entry_line(entry: Entry) -> str:
    """Line of ``files.jsonl``."""
    return json.dumps(entry._asdict(), ensure_ascii=False) + '\n'


def damaged_files(folder: Path, entries: Iterable[Entry]) -> List[str]:
    """Files of a copy that are missing or have another checksum."""

    def intact(entry: Entry) -> bool:
        path = folder / entry.file
        return path.is_file() and checksum(path.read_bytes()) == entry.sha256

    return [entry.file for entry in entries if not intact(entry)]
