# Copyright (c) mmseg_ctt contributors.
"""Volumes of a folder, and those that a list names."""

import os.path as osp
from pathlib import Path
from typing import Dict, List, Mapping, Union

from ..volumes.address import VOLUME_SUFFIXES, without_volume_suffix
from ..volumes.formats import array_names
from .image_files import find_files
from .lists import read_list

PathLike = Union[str, Path]


def find_volumes(folder: PathLike, usual: str) -> List[str]:
    """Volumes of a folder and its sub-folders, in the order of their names.

    Args:
        folder (str | Path): Folder.
        usual (str): Array that is taken from a file of several arrays, where it has one of that
            name.

    Raises:
        FileNotFoundError: If it does not exist, or holds no volume.
        ValueError: If two files differ in their suffix alone.
    """
    if not osp.isdir(folder):
        raise FileNotFoundError(f'the folder {folder} does not exist')
    files = find_files(folder, VOLUME_SUFFIXES)
    if not files:
        raise FileNotFoundError(
            f'no volume was found in {folder}; volumes end in {", ".join(VOLUME_SUFFIXES)}'
        )
    paths = [str(Path(folder, name)) for name in files.values()]
    return [f'{path}:{usual}' if usual in array_names(path) else path for path in paths]


def listed_volumes(path: PathLike, volumes: Mapping[str, str], where: str) -> Dict[str, str]:
    """Volumes that a list names, in its order.

    Args:
        path (str | Path): List, one name a line, with or without suffix and folders.
        volumes (Mapping[str, str]): Paths by name.
        where (str): What messages call the folder of the volumes.

    Raises:
        FileNotFoundError: If there is no such list, or a volume that it names is missing.
        ValueError: If it is no text or names nothing, or a volume twice.
    """
    found: Dict[str, str] = {}
    lines = read_list(path)
    if not lines:
        raise ValueError(f'the list {path} is empty')
    for line in lines:
        stem = without_volume_suffix(line)
        name = next((name for name in (stem, osp.basename(stem)) if name in volumes), None)
        if name is None:
            raise FileNotFoundError(f'the volume {line} of the list {path} is not in {where}')
        if name in found:
            raise ValueError(f'the list {path} names the volume {name} twice')
        found[name] = volumes[name]
    return found
