# Copyright (c) mmseg_ctt contributors.
"""Images that are in two sources under different names."""

import hashlib
import os
from itertools import combinations
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from torch.utils.data import Dataset

from ...datasets.wrappers import distinct_infos
from ...volumes.address import file_of, is_address, real_address


def same_content(first: Sequence[str], second: Sequence[str]) -> List[Tuple[str, str]]:
    """Pairs of files, one of each list, that are equal byte by byte.

    Only files whose length occurs in both lists are read. Of slices the files of their volumes are
    compared; different slices of one file are no pair, equal ones are.

    Args:
        first (Sequence[str]): Paths or addresses; what is no local file is left out.
        second (Sequence[str]): Paths or addresses.

    Returns:
        list[tuple[str, str]]: For each such file of ``second`` one of ``first`` and itself.
    """
    slices = {real_address(path): path for path in first if is_address(path)}
    pairs = [(slices[real], path) for real, path in _addresses(second) if real in slices]
    volumes = [_volumes(paths) for paths in (first, second)]
    return pairs or [
        pair
        for pair in _same_files([*first, *volumes[0]], [*second, *volumes[1]])
        if pair[0] != pair[1] or pair[0] not in volumes[0]
    ]


def _addresses(paths: Sequence[str]) -> List[Tuple[str, str]]:
    return [(real_address(path), path) for path in paths if is_address(path)]


def _volumes(paths: Sequence[str]) -> Dict[str, None]:
    """Files of the volumes of slices, each once."""
    return dict.fromkeys(os.path.realpath(file_of(path)) for path in paths if is_address(path))


def _same_files(first: Sequence[str], second: Sequence[str]) -> List[Tuple[str, str]]:
    sizes = [_sizes(paths) for paths in (first, second)]
    common = set(sizes[0].values()) & set(sizes[1].values())
    known = {_digest(path): path for path, size in sizes[0].items() if size in common}
    others = ((path, _digest(path)) for path, size in sizes[1].items() if size in common)
    return [(known[digest], path) for path, digest in others if digest in known]


def duplicate_images(dataset: Dataset) -> Optional[str]:
    """Whether images of one source have the content of images of another.

    Args:
        dataset (LabeledUnlabeledDataset): Any other data set passes.

    Returns:
        str | None: One line for the log, about the first two such sources.
    """
    paths = {
        name: [
            info['img_path']
            for info in distinct_infos(source)
            if not info.get('pseudo_labeled')  # these stay in the unlabelled source, too
        ]
        for name, source in getattr(dataset, 'sources', {}).items()
    }
    for first, second in combinations(paths, 2):
        pairs = same_content(paths[first], paths[second])
        if pairs:
            return (
                f'{len(pairs)} {second} images have the content of {first} ones, such as '
                f'{pairs[0][1]} and {pairs[0][0]}: take them off the list of {second}, the model '
                f'trains on them as {first} ones'
            )
    return None


def _sizes(paths: Sequence[str]) -> Dict[str, int]:
    return {path: os.path.getsize(path) for path in paths if os.path.isfile(path)}


def _digest(path: str) -> bytes:
    return hashlib.sha256(Path(path).read_bytes()).digest()
