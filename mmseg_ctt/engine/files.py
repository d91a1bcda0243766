# Copyright (c) mmseg_ctt contributors.
"""Files that several processes share: locks, and writing all or nothing."""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[Optional[int]]:
    """Hold the lock file ``path``.

    The descriptor may be handed to a child process, which then holds the lock as well: a lock
    outlives a killed parent for as long as the child lives.

    Args:
        path (Path): Made where it does not exist, and left behind.
        wait (bool): Wait for a lock that is held elsewhere. Defaults to True.

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
    """Replace a file; readers and crashes meet the old text or the new one, nothing between.

    Args:
        path (Path): The file; its folder is made where it does not exist.
        text (str): The new content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    with open(temporary, 'w', encoding='utf-8', newline='') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
