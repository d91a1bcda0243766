# Copyright (c) mmseg_ctt contributors.
"""Files of predicted volumes, a folder for each plane, and what must be equal among them."""

from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from ..datasets.volume_files import named_volumes
from ..volumes import Volume, open_volume, read_label
from ..volumes.formats import unreadable
from .planes import IGNORE

ATOL = 1e-3  # mm, and columns of the affine per voxel
Folders = Mapping[str, Path]  # by the name of the plane


class PlaneFiles(NamedTuple):
    """Files of a case by the name of the plane.

    Attributes:
        labels (dict[str, str]): Predicted label volumes.
        probabilities (dict[str, Path]): ``.npy`` files ``(K, X, Y, Z)``; empty where labels are
            fused.
    """

    labels: Dict[str, str]
    probabilities: Dict[str, Path]


def plane_cases(folders: Folders, probabilities: Optional[Folders] = None) -> Dict[str, PlaneFiles]:
    """Files of every case, all of which all folders must have.

    Args:
        folders (Mapping[str, Path]): Folder of predicted label volumes by the name of the plane.
        probabilities (Mapping[str, Path], optional): Folder of their probabilities by the name of
            the plane. Defaults to None: labels are fused.

    Returns:
        dict[str, PlaneFiles]: By case, in the order of the names.

    Raises:
        FileNotFoundError: If a folder does not exist or lacks a case.
        ValueError: If there are fewer than two planes, or a plane without probabilities.
    """
    if len(folders) < 2:
        raise ValueError(f'fusion needs the folders of two planes at least, got {list(folders)}')
    found = {plane: volumes_in(folder) for plane, folder in folders.items()}
    cases = sorted(set().union(*found.values()))
    for plane, files in found.items():
        missing = [case for case in cases if case not in files]
        if missing:
            raise FileNotFoundError(
                f'{folders[plane]} lacks {len(missing)} of {len(cases)} cases that other planes '
                f'have, such as {missing[0]}: predict them for plane {plane} too'
            )
    return {
        case: PlaneFiles(
            {plane: files[case] for plane, files in found.items()},
            _probability_files(case, list(folders), probabilities),
        )
        for case in cases
    }


def volumes_in(folder: Path) -> Dict[str, str]:
    """Volumes of a folder and its sub-folders, by their path in it without suffix.

    Args:
        folder (Path): Of predictions.

    Raises:
        FileNotFoundError: If it does not exist, or holds no volume.
    """
    return named_volumes(folder, 'label')


def _probability_files(
    case: str, planes: List[str], probabilities: Optional[Folders]
) -> Dict[str, Path]:
    if probabilities is None:
        return {}
    lacking = [plane for plane in planes if plane not in probabilities]
    if lacking or len(probabilities) > len(planes):
        raise ValueError(
            f'probabilities of the planes {", ".join(probabilities)} are given, labels of '
            f'{", ".join(planes)}: name the same planes'
        )
    files = {plane: probabilities[plane] / f'{case}.npy' for plane in planes}
    for path in files.values():
        if not path.is_file():
            raise FileNotFoundError(
                f'the probabilities {path} do not exist: predict the volume with --probabilities'
            )
    return files


def check_same_grid(files: PlaneFiles) -> Volume:
    """The volumes of a case have one shape, and one affine where their files have it.

    Args:
        files (PlaneFiles): Headers are read.

    Returns:
        Volume: Of the first plane.

    Raises:
        ValueError: Naming two files that differ.
    """
    first, *others = (open_volume(path) for path in files.labels.values())
    for other in others:
        if other.shape != first.shape:
            raise ValueError(
                f'{first.path} has the shape {first.shape} and {other.path} {other.shape}: '
                'they are no predictions of one volume'
            )
        if first.affine_mm is None or other.affine_mm is None:
            continue
        if not np.allclose(first.affine_mm, other.affine_mm, rtol=0, atol=ATOL):
            raise ValueError(
                f'{first.path} and {other.path} have different affines: they are no predictions '
                'of one volume, or the header of one was changed'
            )
    shapes = {read_probabilities(path, first).shape[0] for path in files.probabilities.values()}
    if len(shapes) > 1:
        raise ValueError(
            f'the probabilities of {first.path} are of {" and ".join(map(str, sorted(shapes)))} '
            'classes: the planes must have the same'
        )
    return first


def read_class_ids(path: str) -> np.ndarray:
    """Predicted class ids.

    Args:
        path (str): Label volume.

    Returns:
        np.ndarray: ``(X, Y, Z)`` uint8.

    Raises:
        ValueError: If an id is not in 0..254.
    """
    array = read_label(path).array
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= IGNORE:
        raise ValueError(
            f'{path} holds the id {low if low < 0 else high}: predicted classes are 0..254'
        )
    return np.asarray(array, np.uint8)


def read_probabilities(path: Path, volume: Volume) -> np.ndarray:
    """Predicted probabilities, memory-mapped.

    Args:
        path (Path): ``.npy`` file.
        volume (Volume): Label volume of the same prediction.

    Returns:
        np.ndarray: ``(K, X, Y, Z)`` floats.

    Raises:
        UnreadableVolumeError: If it is damaged.
        ValueError: If it holds no floats, or has another shape.
    """
    try:
        array = np.load(path, mmap_mode='r', allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise unreadable(str(path), error) from None
    if array.dtype.kind != 'f' or array.shape[1:] != volume.shape:
        raise ValueError(
            f'{path} holds {array.dtype} of shape {array.shape}, no probabilities (classes, x, y, '
            f'z) of {volume.path} with shape {volume.shape}'
        )
    return array
