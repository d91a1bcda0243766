# Copyright (c) mmseg_ctt contributors.
"""Checks of paths to write, before hours are spent on what goes there."""

from pathlib import Path
from typing import Optional, Union


def check_out_folder(path: Union[str, Path]) -> Path:
    """Check that a path can be a folder, which may be there.

    Args:
        path (str | Path): Of outputs.

    Raises:
        ValueError: If it, or a part of it, is a file.
    """
    path = Path(path)
    existing = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not existing.is_dir():
        raise ValueError(
            f'{path} is to be a folder of outputs, and {existing} is a file: give another folder'
        )
    return path


def check_new_folder(path: Union[str, Path], instead: str = 'remove it') -> Path:
    """Check that a path can be a folder of outputs that is new or empty.

    Args:
        path (str | Path): Of outputs.
        instead (str): What else than another folder helps. Defaults to 'remove it'.

    Raises:
        ValueError: If it, or a part of it, is a file, or it holds anything.
    """
    path = check_out_folder(path)
    if path.is_dir() and any(path.iterdir()):
        raise ValueError(f'{path} is not empty: give another folder, or {instead}')
    return path


def check_plain_name(name: str) -> None:
    """Check that files of a name are in their folder.

    Args:
        name (str): Of files, without ending.

    Raises:
        ValueError: If it is a path, or empty.
    """
    if not name or name != Path(name).name:
        raise ValueError(f'name (--name) {name} must be a plain name, not a path')


def check_out_file(path: Union[str, Path]) -> Path:
    """Check that a path can be a file, which may be there.

    Args:
        path (str | Path): Of the output.

    Raises:
        ValueError: If it is a folder, or a part of it is a file.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f'{path} is a folder: give the name of a file to write, with its ending')
    check_out_folder(path.parent)
    return path


def check_new_file(path: Union[str, Path], overwrite: Optional[bool] = None) -> Path:
    """Check that a path can be a file, which is not there yet.

    A device or a pipe, such as ``/dev/stdout``, may be there: it keeps nothing.

    Args:
        path (str | Path): Of the output.
        overwrite (bool, optional): Whether a file may be replaced, of programs that have
            ``--overwrite``. Defaults to None: it may not.

    Raises:
        ValueError: As in :func:`check_out_file`, or if it is a file.
    """
    path = check_out_file(path)
    if path.is_file() and not overwrite:
        more = '' if overwrite is None else ', or --overwrite'
        raise ValueError(f'{path} exists: give another name{more}')
    return path
