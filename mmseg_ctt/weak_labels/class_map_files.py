# Copyright (c) mmseg_ctt contributors.
"""Class maps in a folder: one ``.npz`` an image with the maps of its tagged classes.

The file of the image with the stem ``a/b`` is ``a/b.npz`` with ``maps`` ``(P, H, W)`` float16 in
[0, 1], of the size of the image, ``classes`` ``(P,)`` class ids and ``scores`` ``(F,)`` float32,
the probability of each class as a tag. ``class_maps.json`` says of which classes and how.
"""

import os
import zipfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Union

import numpy as np

from ..datasets.image_files import find_files
from .settings_file import read_settings

PathLike = Union[str, Path]
SETTINGS, SUFFIX = 'class_maps.json', '.npz'


class ClassMaps(NamedTuple):
    """Class maps of an image.

    Attributes:
        maps (np.ndarray): ``(P, H, W)`` float32 in [0, 1] of the P tagged classes.
        classes (np.ndarray): ``(P,)`` their ids, ascending.
        scores (np.ndarray): ``(F,)`` float32, probability of each class as a tag.
    """

    maps: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


class ClassMapFolder(NamedTuple):
    """A folder of class maps.

    Attributes:
        path (Path): The folder.
        classes (list[str]): Names of all classes of the data set.
        has_background (bool): Whether class 0 is the background, which has no map.
        stems (list[str]): Of the images that have maps, sorted.
    """

    path: Path
    classes: List[str]
    has_background: bool
    stems: List[str]


def open_class_maps(folder: PathLike) -> ClassMapFolder:
    """Read what a folder of class maps holds.

    Raises:
        FileNotFoundError: If there is no such folder, or no class map in it.
        ValueError: If it has no settings of class maps, or damaged ones.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f'the folder {path} of class maps does not exist')
    if not (path / SETTINGS).is_file():
        raise ValueError(f'{path} has no {SETTINGS}: tools/weak/make_cams.py writes class maps')
    settings = read_settings(path / SETTINGS)
    classes, background = settings.get('classes'), settings.get('background')
    if not isinstance(classes, list) or not isinstance(background, bool):
        raise ValueError(f'{path / SETTINGS} is damaged: remove {path} and make it again')
    stems = list(find_files(path, [SUFFIX]))
    if not stems:
        raise FileNotFoundError(f'{path} has no class maps: run tools/weak/make_cams.py to its end')
    return ClassMapFolder(path, classes, background, stems)


def class_map_path(folder: PathLike, stem: str) -> Path:
    """File of the class maps of an image."""
    return Path(folder, f'{stem}{SUFFIX}')


def write_class_maps(folder: PathLike, stem: str, found: ClassMaps) -> None:
    """Write the maps of an image at once, so that one that is stopped leaves no half of a file.

    Args:
        folder (str | Path): Folder of the maps.
        stem (str): Of the image.
        found (ClassMaps): Of the image.
    """
    path = class_map_path(folder, stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}{SUFFIX}')
    np.savez_compressed(
        partial,
        maps=found.maps.astype(np.float16),
        classes=found.classes.astype(np.int64),
        scores=found.scores.astype(np.float32),
    )
    os.replace(partial, path)


def read_class_maps(folder: PathLike, stem: str) -> ClassMaps:
    """Class maps of an image.

    Raises:
        ValueError: If the file is damaged.
    """
    arrays = _read(class_map_path(folder, stem), ('maps', 'classes', 'scores'))
    return ClassMaps(arrays['maps'].astype(np.float32), arrays['classes'], arrays['scores'])


def read_scores(folder: PathLike, stem: str) -> np.ndarray:
    """Probability of each class as a tag of an image, without reading its maps."""
    return _read(class_map_path(folder, stem), ('scores',))['scores']


def read_classes(folder: PathLike, stem: str) -> np.ndarray:
    """Ids of the classes of which an image has maps, without reading these."""
    return _read(class_map_path(folder, stem), ('classes',))['classes']


def _read(path: Path, names: Sequence[str]) -> Dict[str, Any]:
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        raise ValueError(
            f'the class maps {path} are damaged: remove the file, make it again'
        ) from None
