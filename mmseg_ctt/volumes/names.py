# Copyright (c) mmseg_ctt contributors.
"""Names of cases, by the files of their volumes, and which names mean one case."""

import os.path as osp
from posixpath import basename
from typing import Collection, Dict, Iterable, List, Mapping, Union

from .address import without_volume_suffix


def case_names(
    paths: Iterable[str], suffix: Union[str, Mapping[str, str], None] = None
) -> Dict[str, str]:
    """A name for each volume: its file name without suffix.

    Where two volumes have one file name, as ``p1/image.nii.gz`` and ``p2/image.nii.gz``, all keep
    the sub-folders below the deepest folder that they have in common.

    Args:
        paths (Iterable[str]): Volumes.
        suffix (str | Mapping[str, str], optional): End of their names, or of those of some of
            them by path, see :func:`.address.without_volume_suffix`. Defaults to None.

    Returns:
        dict[str, str]: Names by path, with ``/`` between their parts.

    Raises:
        ValueError: If two volumes of one folder differ in their suffix alone.
    """
    paths = list(dict.fromkeys(str(path) for path in paths))
    ends = suffix if isinstance(suffix, Mapping) else dict.fromkeys(paths, suffix)
    stems = {path: osp.abspath(without_volume_suffix(path, ends.get(path))) for path in paths}
    names = {path: osp.basename(stem) for path, stem in stems.items()}
    if len(set(names.values())) < len(paths):
        folder = osp.commonpath([osp.dirname(stem) for stem in stems.values()])
        names = {
            path: osp.relpath(stem, folder).replace(osp.sep, '/') for path, stem in stems.items()
        }
    known: Dict[str, str] = {}
    for path, name in names.items():
        if name in known:
            raise ValueError(
                f'{known[name]} and {path} would both be the case {name!r}: rename one of them'
            )
        known[name] = path
    return names


def is_end_of(short: str, path: str) -> bool:
    """Whether a path ends in the folders and the name of a shorter one.

    Args:
        short (str): Such as ``p1/image``, with ``/`` between its parts.
        path (str): Such as ``data/p1/image``; an equal one counts too.
    """
    return f'/{path.lstrip("/")}'.endswith(f'/{short.lstrip("/")}')


def pair_names(names: Collection[str], others: Collection[str]) -> Dict[str, List[str]]:
    """For each name the others that may be the same case.

    That is the equal one. Without it, those of which one path is the end of the other, as
    ``image`` or ``p1/image`` and ``train/p1/image``, but ``p1/image`` and ``p2/image`` are not.

    Args:
        names (Collection[str]): Paths below a folder, without suffix.
        others (Collection[str]): Paths below another folder.

    Returns:
        dict[str, list[str]]: By name; empty where there is none, several where it is not clear.
    """
    free: Dict[str, List[str]] = {}
    for other in set(others) - set(names):
        free.setdefault(basename(other), []).append(other)
    found = {}
    for name in names:
        near = free.get(basename(name), [])
        longer = sorted(k for k in near if is_end_of(name, k) or is_end_of(k, name))
        found[name] = [name] if name in others else longer
    return found
