# Copyright (c) mmseg_ctt contributors.
"""Folders of predicted volumes, one a plane: checked, then fused case by case."""

import json
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Tuple

import numpy as np

from ..volumes import VOLUME_SUFFIXES, Volume, open_volume, read_label, volume_stem, write_volume
from .plane_agreement import plane_agreement
from .plane_fusion import PlaneFusion
from .planes import IGNORE

AGREEMENT = 'agreement.json'
ATOL = 1e-3  # mm, and columns of the affine per voxel
CaseFiles = Dict[str, Path]  # file of each plane


def plane_cases(folders: Mapping[str, Path]) -> Dict[str, CaseFiles]:
    """Files of every case, all of which all folders must have.

    Args:
        folders (Mapping[str, Path]): Folder of predicted volumes by the name of the plane.

    Returns:
        dict[str, dict[str, Path]]: By case, in order of the names, and plane.

    Raises:
        FileNotFoundError: If a folder does not exist or lacks a case.
        ValueError: If there are fewer than two planes, a folder has no volume, or two of a case.
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
    return {case: {plane: files[case] for plane, files in found.items()} for case in cases}


def volumes_in(folder: Path) -> Dict[str, Path]:
    """Volumes of a folder by their names without suffix.

    Args:
        folder (Path): Folders in it are left out.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it has no volume, or two of one name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'the folder {folder} does not exist')
    found: Dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not path.name.lower().endswith(VOLUME_SUFFIXES) or path.name.startswith('.'):
            continue
        case = volume_stem(str(path))
        if case in found:
            raise ValueError(
                f'{folder} has two volumes of case {case}: {found[case].name} and '
                f'{path.name}, remove one'
            )
        found[case] = path
    if not found:
        raise ValueError(f'{folder} has no volume ({", ".join(VOLUME_SUFFIXES)})')
    return found


def check_same_grid(files: CaseFiles) -> List[Volume]:
    """The volumes of a case have one shape, and one affine where their files have it.

    Args:
        files (dict[str, Path]): By plane; their headers are read.

    Returns:
        list[Volume]: Of the planes.

    Raises:
        ValueError: Naming two files that differ.
    """
    volumes = [open_volume(path) for path in files.values()]
    first = volumes[0]
    for other in volumes[1:]:
        if other.shape != first.shape:
            raise ValueError(
                f'{first.path} has the shape {first.shape} and {other.path} {other.shape}: '
                'they are no predictions of one volume'
            )
        if first.affine is None or other.affine is None:
            continue
        if not np.allclose(first.affine, other.affine, rtol=0, atol=ATOL):
            raise ValueError(
                f'{first.path} and {other.path} have different affines: they are no predictions '
                'of one volume, or the header of one was changed'
            )
    return volumes


def read_class_ids(path: Path) -> np.ndarray:
    """Predicted class ids.

    Args:
        path (Path): Label volume.

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


def check_cases(cases: Mapping[str, CaseFiles], fusion: PlaneFusion, out: Path) -> None:
    """Check all volumes before the first is fused.

    Args:
        cases (Mapping[str, dict[str, Path]]): From :func:`plane_cases`.
        fusion (PlaneFusion): How they will be fused.
        out (Path): Folder that the fused volumes will be written to.

    Raises:
        ValueError: If a file would be replaced, the volumes of a case differ in shape or affine,
            one is damaged, or holds ids that are no predicted classes.
    """
    for path in (out / AGREEMENT, *(fused_path(out, case) for case in cases)):
        if path.exists():
            raise ValueError(f'{path} exists and is not replaced: choose another folder')
    for files in cases.values():
        check_same_grid(files)
    for files in cases.values():
        for path in files.values():
            read_class_ids(path)


def fuse_case(files: CaseFiles, fusion: PlaneFusion) -> Tuple[np.ndarray, dict]:
    """Fused labels of a case, and how far its planes agree.

    Args:
        files (dict[str, Path]): Label volumes by plane, with their probabilities beside them where
            the fusion is soft.
        fusion (PlaneFusion): How they are fused.

    Returns:
        tuple[np.ndarray, dict]: ``(X, Y, Z)`` uint8, and :func:`.plane_agreement.plane_agreement`.
    """
    labels = np.stack([read_class_ids(path) for path in files.values()])
    probabilities = None
    if fusion.needs_probabilities:
        probabilities = (read_probabilities(path, labels.shape[1:]) for path in files.values())
    return fusion.fuse(labels, probabilities), plane_agreement(dict(zip(files, labels)))


def fused_path(folder: Path, case: str) -> Path:
    """File of a fused case."""
    return folder / f'{case}.nii.gz'


def fuse_folders(
    cases: Mapping[str, CaseFiles],
    fusion: PlaneFusion,
    out: Path,
    before_each: Callable[[str], None] = lambda case: None,
) -> Dict[str, dict]:
    """Fuse all cases, and write them with the geometry of the first plane.

    Args:
        cases (Mapping[str, dict[str, Path]]): From :func:`plane_cases`.
        fusion (PlaneFusion): How they are fused.
        out (Path): Folder of the fused volumes and of ``agreement.json``; files are replaced.
        before_each (Callable): Gets the name of every case before it is fused; may raise to stop.
            Defaults to nothing.

    Returns:
        dict[str, dict]: Agreement of the planes by case, as in the file.
    """
    agreement = {}
    for case, files in cases.items():
        before_each(case)
        fused, agreement[case] = fuse_case(files, fusion)
        write_volume(fused_path(out, case), fused, open_volume(next(iter(files.values()))))
    (out / AGREEMENT).write_text(json.dumps(agreement, indent=1) + '\n')
    return agreement
