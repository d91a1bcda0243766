# Copyright (c) mmseg_ctt contributors.
"""Files that several processes use: locks and atomic text files."""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[Optional[int]]:
    """Hold an exclusive lock on the file ``path``.

    A child process that inherits the descriptor holds the lock too: the lock outlives a killed
    parent as long as the child runs.

    Args:
        path (Path): Created if missing, and never removed.
        wait (bool): Wait until another process frees the lock. Defaults to True.

    Yields:
        int | None: The descriptor; None if another process holds the lock and ``wait`` is False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
            return
        yield descriptor
    finally:
        os.close(descriptor)  # ends the lock, unless a child still has the file open


def write_whole(path: Path, text: str) -> None:
    """Replace a text file atomically: after a crash it has the old content or the new.

    A device or a pipe, such as ``/dev/stdout``, is written to.

    Args:
        path (Path): The file; its folder is created if missing.
        text (str): The new content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():  # a rename would put a file in its place
        with open(path, 'w', encoding='utf-8', newline='') as file:
            file.write(text)
        return
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    with open(temporary, 'w', encoding='utf-8', newline='') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
