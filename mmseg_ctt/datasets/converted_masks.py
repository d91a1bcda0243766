# Copyright (c) mmseg_ctt contributors.
"""Masks of class ids that ``new_run`` has made of others, and whether those have changed since.

A run reads the made ones. A mask that is corrected where it was drawn would be without effect until
``new_run`` is called again: data sets refuse to start then.
"""

import json
import os
import shlex
from hashlib import blake2b
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .lists import PathLike

RECORD = 'conversion.json'  # in a folder of masks that new_run has written
SHOWN = 3  # masks named in a message


class Stamp(NamedTuple):
    """A mask as it was when its ids were made: path below the root, bytes, time, content."""

    source: str
    size: int
    mtime_ns: int
    digest: str


class Converted(NamedTuple):
    """A folder of made masks.

    Attributes:
        folder (Path): The folder, absolute.
        root (Path): Root of the data set, from which paths of the masks count.
        name (str | None): Of the run.
        stamps (dict[str, Stamp]): By path of the made mask, below the folder.
    """

    folder: Path
    root: Path
    name: Optional[str]
    stamps: Dict[str, Stamp]

    @property
    def command(self) -> str:
        """Command that makes the masks anew."""
        words = ['python', 'tools/misc/new_run.py', str(self.root)]
        return shlex.join([*words, '--name', self.name] if self.name else words)


def read_record(folder: Path) -> Optional[Dict[str, Any]]:
    """Record of a folder of made masks, None for any other folder."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None
    except ValueError:  # a file of that name may be of anything
        return None
    return record if isinstance(record, dict) and 'masks' in record else None


def stamps_of(record: Dict[str, Any]) -> Dict[str, Stamp]:
    """Stamps of a record, by path of the made mask; those of version 0.10 have none."""
    return {target: Stamp(*values) for target, values in record.get('sources', {}).items()}


def stamp_of(root: Path, source: str) -> Stamp:
    """Stamp of a mask as it is now."""
    path = root / source
    state = path.stat()
    return Stamp(source, state.st_size, state.st_mtime_ns, _digest(path))


def _digest(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=8).hexdigest()


def is_current(path: Path, stamp: Stamp) -> bool:
    """Whether a mask is as in its stamp; content decides where times differ, as after a copy."""
    state = path.stat()
    if state.st_size != stamp.size:
        return False
    return state.st_mtime_ns == stamp.mtime_ns or _digest(path) == stamp.digest


def converted_folder(mask: PathLike) -> Optional[Converted]:
    """Folder of made masks that a path lies in, None for other masks.

    Args:
        mask (str | Path): A mask, which need not exist, or a folder of masks.
    """
    path = Path(mask).absolute()
    for folder in (path, *path.parents):
        record = read_record(folder)
        if record is not None:
            depth = max(1, len(Path(record['masks']).parts))  # new_run puts it beside the masks
            root = folder.parents[depth - 1]
            return Converted(folder, root, record.get('name'), stamps_of(record))
    return None


def check_current(folder: PathLike, masks: Sequence[PathLike]) -> None:
    """The masks of a data set are those that were drawn, where ``new_run`` has made them.

    Args:
        folder (str | Path): Folder of the masks of the data set.
        masks (Sequence[str | Path]): The masks that are read.

    Raises:
        ValueError: Names masks that have changed since, and the command that reads them.
    """
    made = converted_folder(folder)
    if made is None:
        return
    changed = _changed(made, masks)
    if changed:
        raise ValueError(
            f'{len(changed)} masks have changed since new_run made the class ids in {made.folder}, '
            f'which are read in their place: {", ".join(changed[:SHOWN])}. Call new_run again, '
            f'with the options of its first call: {made.command}'
        )


def _changed(made: Converted, masks: Sequence[PathLike]) -> List[str]:
    """Sources that have changed, or are removed while others are still there."""
    paths = [path for path in map(Path.absolute, map(Path, masks)) if path.is_file()]
    names = [os.path.relpath(path, made.folder).replace(os.sep, '/') for path in paths]
    stamps = [made.stamps[name] for name in names if name in made.stamps]
    there = [stamp for stamp in stamps if (made.root / stamp.source).is_file()]
    if not there:  # the masks of colours were not kept
        return []
    gone = [stamp.source for stamp in stamps if not (made.root / stamp.source).is_file()]
    differing = [s.source for s in there if not is_current(made.root / s.source, s)]
    return sorted([*differing, *gone])


def remedy(mask: PathLike) -> str:
    """End of a message about a mask that does not exist; '' where ``new_run`` does not make it."""
    made = converted_folder(mask)
    if made is None:
        return ''
    return (
        f': {made.folder.name} holds the class ids that new_run makes of the masks that are drawn. '
        f'Draw the mask there, and call new_run again: {made.command}'
    )
