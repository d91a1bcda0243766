# Copyright (c) mmseg_ctt contributors.
"""Cache on disk of what is made from volumes once: planes that are read slice by slice, values.

An entry is named by the path, size and time of change of its file, so that a file that was changed
is read anew. Files are written aside and renamed: any number of workers and ranks may make the
same entry at the same time. The folder may be deleted whenever no run uses it.
"""

import hashlib
import json
import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np

from .address import split_key, volume_stem

VARIABLE = 'MMSEG_CTT_VOLUME_CACHE'


def cache_folder() -> Path:
    """Folder of the cache.

    Returns:
        Path: That of the environment variable :data:`VARIABLE`, else ``mmseg_ctt/volumes`` below
        ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base, 'mmseg_ctt', 'volumes')


def stamp_of(volume: str) -> str:
    """Name of the entry of a volume, another one when its file changes.

    Args:
        volume (str): Path of the file, with ``:key`` for an array of several.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    file, key = split_key(volume)
    try:
        state = os.stat(file)
    except OSError:
        raise FileNotFoundError(f'the volume {file} does not exist') from None
    facts = f'{os.path.realpath(file)}:{key or ""}:{state.st_size}:{state.st_mtime_ns}'
    return f'{volume_stem(volume)}-{hashlib.sha256(facts.encode()).hexdigest()[:20]}'


def cached_array(volume: str, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Memory-mapped array that is made once.

    Args:
        volume (str): See :func:`stamp_of`.
        name (str): Of the array, such as ``'image_z'``.
        make (Callable): Makes it where it is not in the cache.

    Raises:
        ValueError: If the folder of the cache cannot be written.
    """
    path = cache_folder() / stamp_of(volume) / f'{name}.npy'
    if not path.is_file():
        array = make()
        with _draft(path) as draft:
            np.save(draft, np.ascontiguousarray(array))
    return np.load(path, mmap_mode='r', allow_pickle=False)


def cached_value(volume: str, name: str, make: Callable[[], Any]) -> Any:
    """Value that is made once.

    Args:
        volume (str): See :func:`stamp_of`.
        name (str): Of the value, such as ``'limits_0.5_99.5'``.
        make (Callable): Makes it, of what JSON holds, where it is not in the cache.

    Raises:
        ValueError: If the folder of the cache cannot be written.
    """
    path = cache_folder() / stamp_of(volume) / f'{name}.json'
    if path.is_file():
        return json.loads(path.read_text())
    value = make()
    with _draft(path) as draft:
        draft.write(json.dumps(value).encode())
    return value


@contextmanager
def _draft(path: Path) -> Iterator[Any]:
    """File that appears under its name when it is complete."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f'.{uuid.uuid4().hex}')
        try:
            with open(draft, 'xb') as opened:
                yield opened
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(
            f'the cache of volumes {cache_folder()} cannot be written ({error.strerror or error}): '
            f'set the environment variable {VARIABLE} to a folder with space'
        ) from error
