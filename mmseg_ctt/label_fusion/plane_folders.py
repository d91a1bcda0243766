# Copyright (c) mmseg_ctt contributors.
"""Fusion of folders of predicted volumes, case by case."""

import json
from pathlib import Path
from typing import Callable, Dict, Mapping, Tuple

import numpy as np

from ..volumes import Volume, open_volume, write_volume
from .plane_agreement import plane_agreement
from .plane_files import PlaneFiles, check_same_grid, read_class_ids, read_probabilities
from .plane_fusion import PlaneFusion

AGREEMENT = 'agreement.json'


def check_cases(cases: Mapping[str, PlaneFiles], out: Path) -> None:
    """Check all volumes before the first is fused.

    Args:
        cases (Mapping[str, PlaneFiles]): From :func:`plane_cases`.
        out (Path): Folder that the fused volumes will be written to.

    Raises:
        ValueError: If a file would be replaced, the volumes of a case differ in shape or affine,
            one is damaged, holds ids that are no predicted classes, or has other probabilities.
    """
    for case, files in cases.items():
        first = check_same_grid(files)
        for path in (out / AGREEMENT, fused_path(out, case, first)):
            if path.exists():
                raise ValueError(f'{path} exists and is not replaced: choose another folder')
    for files in cases.values():
        for volume in files.labels.values():
            read_class_ids(volume)


def fuse_case(files: PlaneFiles, fusion: PlaneFusion) -> Tuple[np.ndarray, dict]:
    """Fused labels of a case, and how far its planes agree.

    Args:
        files (PlaneFiles): Of the case; with probabilities for soft fusion.
        fusion (PlaneFusion): How they are fused.

    Returns:
        tuple[np.ndarray, dict]: ``(X, Y, Z)`` uint8; and :func:`.plane_agreement.plane_agreement`
        with ``fused``, the number of fused voxels of each id.
    """
    labels = np.stack([read_class_ids(path) for path in files.labels.values()])
    volume = check_same_grid(files)
    probabilities = (read_probabilities(path, volume) for path in files.probabilities.values())
    fused = fusion.fuse(labels, probabilities if fusion.needs_probabilities else None)
    ids, voxels = np.unique(fused, return_counts=True)
    counts = {str(k): int(number) for k, number in zip(ids, voxels)}
    return fused, dict(plane_agreement(dict(zip(files.labels, labels))), fused=counts)


def fused_path(folder: Path, case: str, like: Volume) -> Path:
    """File of a fused case: NIfTI, or ``.npy`` for volumes without geometry.

    Args:
        folder (Path): Of the fused volumes.
        case (str): Name of the case.
        like (Volume): A volume of its geometry.
    """
    return folder / f'{case}{".npy" if like.affine is None else ".nii.gz"}'


def fuse_folders(
    cases: Mapping[str, PlaneFiles],
    fusion: PlaneFusion,
    out: Path,
    before_each: Callable[[str], None] = lambda case: None,
) -> Dict[str, dict]:
    """Fuse all cases, and write them with the geometry of the first plane.

    Args:
        cases (Mapping[str, PlaneFiles]): From :func:`plane_cases`.
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
        first = open_volume(next(iter(files.labels.values())))
        path = fused_path(out, case, first)
        if path.suffix == '.npy':
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, fused)
        else:
            write_volume(path, fused, first)
    (out / AGREEMENT).write_text(json.dumps(agreement, indent=1) + '\n')
    return agreement
