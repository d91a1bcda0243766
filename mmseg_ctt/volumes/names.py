# Copyright (c) mmseg_ctt contributors.
"""Names of cases, by the files of their volumes."""

import os.path as osp
from typing import Dict, Iterable

from .address import without_volume_suffix


def case_names(paths: Iterable[str]) -> Dict[str, str]:
    """A name for each volume: its file name without suffix.

    Where two volumes have one file name, as ``p1/image.nii.gz`` and ``p2/image.nii.gz``, all keep
    the sub-folders below the deepest folder that they have in common.

    Args:
        paths (Iterable[str]): Volumes.

    Returns:
        dict[str, str]: Names by path, with ``/`` between their parts.

    Raises:
        ValueError: If two volumes of one folder differ in their suffix alone.
    """
    paths = list(dict.fromkeys(str(path) for path in paths))
    stems = {path: osp.abspath(without_volume_suffix(path)) for path in paths}
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
