# Copyright (c) mmseg_ctt contributors.
"""Files that are complete as soon as they have their names, one alone or several together."""

import os
import os.path as osp
from contextlib import suppress
from pathlib import Path
from typing import Mapping, Union

PARTIAL = '.part'  # suffix of a file while it is written


def write_whole(path: Union[str, Path], content: bytes, flush: bool = True) -> None:
    """Write a file atomically, safe against a crash of the machine.

    Args:
        path (str | Path): An older file of this name stays until the new one is on the disk. The
            folder is created if missing.
        content (bytes): Of the file.
        flush (bool): Whether to wait for the disk; for thousands of files that can be made again
            this would take long. Defaults to True.

    Raises:
        OSError: If it cannot be written, for example on a full disk; no partial file is left.
    """
    partial = _written(path, content, flush)
    try:
        os.replace(partial, path)
    except OSError:
        _remove(partial)
        raise
    if flush:
        _flush_folder(osp.dirname(osp.abspath(path)))


def write_together(contents: Mapping[Path, bytes], manifest: Path, facts: bytes) -> None:
    """Write files that belong together, and a manifest of them.

    A write that fails leaves the old files with their manifest. If it is killed while the files
    get their names, there is no manifest: old and new files never pass for a whole.

    Args:
        contents (Mapping[Path, bytes]): Of each file, in the order in which they get their names.
        manifest (Path): File that says of the others that they are complete.
        facts (bytes): Its content.
    """
    written = {}
    try:
        for path, content in contents.items():
            written[path] = _written(path, content)
        manifest.unlink(missing_ok=True)
    except BaseException:
        for path in contents:
            _remove(f'{path}{PARTIAL}')
        raise
    for path, part in written.items():
        os.replace(part, path)
    write_whole(manifest, facts)  # its flush of the folder is that of the other names, too


def _written(path: Union[str, Path], content: bytes, flush: bool = True) -> str:
    """The content in a file beside the one that is meant."""
    path = osp.abspath(path)
    os.makedirs(osp.dirname(path), exist_ok=True)
    partial = path + PARTIAL
    try:
        with open(partial, 'wb') as file:
            file.write(content)
            file.flush()
            if flush:
                os.fsync(file.fileno())
    except OSError:
        _remove(partial)
        raise
    return partial


def _remove(path: str) -> None:
    with suppress(OSError):
        os.remove(path)


def _flush_folder(folder: str) -> None:
    """Flush a rename to the disk; file systems that cannot do so do not need it."""
    handle = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(handle)
    os.close(handle)
