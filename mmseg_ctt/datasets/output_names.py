# Copyright (c) mmseg_ctt contributors.
"""Names of files that are made from images: sub-folders are kept, and no two are equal."""

import os.path as osp
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Sequence, Union

from ..volumes.address import image_name, image_stem


class OutputNames:
    """A name for what is made from each image, without suffix.

    It is the path of the image below a folder, ``day1/0`` of ``images/day1/0.png``. Images that
    differ in their suffix alone keep it, and an image that is not known gets a name that is free.

    Args:
        paths (Iterable[str | Path]): Images.
        root (str | Path, optional): Folder of all images. Defaults to None, or where an image is
            not below it: the deepest folder that they have in common.

    Example:
        >>> names = OutputNames(['a/day0/0.png', 'a/day1/0.png'])
        >>> names.of('a/day1/0.png')
        'day1/0'
    """

    def __init__(
        self, paths: Iterable[Union[str, Path]], root: Union[str, Path, None] = None
    ) -> None:
        given = list(dict.fromkeys(str(path) for path in paths))
        below = _below(given, None if root is None else str(root))
        stems = [image_stem(name) for name in below]
        count = Counter(stems)
        self.names: Dict[str, str] = {}
        self.taken: Dict[str, str] = {}  # paths by name
        for path, name, stem in zip(given, below, stems):
            self._add(path, stem if count[stem] == 1 else image_name(name))

    def of(self, path: Union[str, Path]) -> str:
        """Name of an image, with ``/`` between its parts."""
        path = str(path)
        if path not in self.names:
            self._add(path, osp.basename(image_stem(path)))
        return self.names[path]

    def _add(self, path: str, name: str) -> None:
        free, number = name, 2
        while free in self.taken:
            free, number = f'{name}_{number}', number + 1
        self.names[path], self.taken[free] = free, path


def names_of_dataset(dataset: Any) -> OutputNames:
    """Names for the images of a data set, below its folder of images where it says it.

    Args:
        dataset (BaseDataset): With ``get_data_info``; others give names as they come.
    """
    if not hasattr(dataset, 'get_data_info'):
        return OutputNames([])
    paths = [dataset.get_data_info(i).get('img_path') for i in range(len(dataset))]
    prefix = getattr(dataset, 'data_prefix', None) or {}
    return OutputNames([path for path in paths if path is not None], prefix.get('img_path'))


def _below(paths: Sequence[str], root: Optional[str]) -> Sequence[str]:
    """Paths below a folder; all are of one kind, absolute or not."""
    if not paths:
        return []
    absolute = [osp.abspath(path) for path in paths]
    folder = osp.abspath(root) if root else ''
    if not folder or any(not path.startswith(folder + osp.sep) for path in absolute):
        folder = osp.commonpath([osp.dirname(path) for path in absolute])
    return [osp.relpath(path, folder).replace(osp.sep, '/') for path in absolute]
