# Copyright (c) mmseg_ctt contributors.
"""Volumes of a folder, and those that a list names."""

import os.path as osp
import posixpath
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Union

from ..volumes.address import VOLUME_SUFFIXES, without_volume_suffix
from ..volumes.formats import array_path
from ..volumes.names import is_end_of
from .image_files import find_files
from .lists import read_list

PathLike = Union[str, Path]


def named_volumes(
    folder: PathLike,
    usual: str,
    suffix: Optional[str] = None,
    key: Optional[str] = None,
    label_suffix: Optional[str] = None,
) -> Dict[str, str]:
    """Volumes of a folder and its sub-folders, by their paths below it without suffix.

    Args:
        folder (str | Path): Folder.
        usual (str): Array that is taken from a file of several arrays, where it has one of that
            name.
        suffix (str, optional): End of the names of files. Defaults to None: any of volumes.
        key (str, optional): Array that is taken in place of the usual one. Defaults to None.
        label_suffix (str, optional): See :func:`without_labels`. Defaults to None.

    Returns:
        dict[str, str]: Paths, with ``:key`` for an array, in the order of the names.

    Raises:
        FileNotFoundError: If the folder does not exist, or holds no volume.
        ValueError: If two files differ in their suffix alone.
    """
    if not osp.isdir(folder):
        raise FileNotFoundError(f'the folder {folder} does not exist')
    files = find_files(folder, [suffix] if suffix else VOLUME_SUFFIXES)
    files = without_labels(files, label_suffix)
    if not files:
        ends = f'the suffix that is set is {suffix}' if suffix else 'volumes end in '
        ends += '' if suffix else ', '.join(VOLUME_SUFFIXES)
        raise FileNotFoundError(f'no volume was found in {folder}; {ends}')
    return {name: array_path(str(Path(folder, file)), usual, key) for name, file in files.items()}


def without_labels(files: Dict[str, str], label_suffix: Optional[str]) -> Dict[str, str]:
    """Volumes without those that end as labels do.

    Args:
        files (dict[str, str]): Names of files by stem.
        label_suffix (str, optional): End of the names of labels. One that is no more than an
            extension tells no label, as None does.
    """
    end = (label_suffix or '').lower()
    if not end or end in VOLUME_SUFFIXES:
        return files
    return {stem: file for stem, file in files.items() if not file.lower().endswith(end)}


def listed_names(
    path: PathLike, stems: Mapping[str, Sequence[str]], where: str, suffix: Optional[str] = None
) -> List[str]:
    """Names of the volumes that a list names, in its order.

    A line is the name of a file, with any of the folders above it and with or without suffix.

    Args:
        path (str | Path): List, one volume a line.
        stems (Mapping[str, Sequence[str]]): For each name the paths, without suffix, of the files
            that lines may mean.
        where (str): What messages call the folder of the volumes.
        suffix (str, optional): End of the names of files, which lines may have. Defaults to None.

    Raises:
        FileNotFoundError: If there is no such list, or a volume that it names is missing.
        ValueError: If it is no text or names nothing, a volume twice, or one that may be several.
    """
    lines = read_list(path)
    if not lines:
        raise ValueError(f'the list {path} is empty')
    paths = {
        name: [osp.abspath(stem).replace(osp.sep, '/') for stem in known]
        for name, known in stems.items()
    }
    found: Dict[str, None] = {}
    for line in lines:
        wanted = posixpath.normpath(without_volume_suffix(line, suffix).replace(osp.sep, '/'))
        names = [name for name in paths if any(is_end_of(wanted, stem) for stem in paths[name])]
        names = [wanted] if wanted in names else names
        if not names:
            raise FileNotFoundError(f'the volume {line} of the list {path} is not in {where}')
        if len(names) > 1:
            raise ValueError(
                f'the volume {line} of the list {path} may be {names[0]} or {names[1]} of {where}: '
                'name its folder too'
            )
        if names[0] in found:
            raise ValueError(f'the list {path} names the volume {names[0]} twice')
        found[names[0]] = None
    return list(found)
