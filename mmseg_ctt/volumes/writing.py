# Copyright (c) mmseg_ctt contributors.
"""Writing volumes with the geometry of the volume that they were made from."""

import os
from pathlib import Path
from typing import Union

import numpy as np

from .formats import nibabel
from .reading import Volume


def write_volume(path: Union[str, Path], array: np.ndarray, like: Volume) -> None:
    """Write a NIfTI file with the affine and header of another volume.

    The file is complete or absent, also after a crash. Units, codes of qform and sform, and the
    size of a voxel are those of ``like``; a volume without affine gives the identity.

    Args:
        path (str | Path): Ends in ``.nii`` or ``.nii.gz``; an existing file is replaced.
        array (np.ndarray): ``(X, Y, Z)``, written in its type, without scaling.
        like (Volume): Volume whose geometry it has.

    Raises:
        ValueError: If the shapes or the suffix do not fit.
    """
    path = Path(path)
    ending = next((end for end in ('.nii.gz', '.nii') if path.name.lower().endswith(end)), None)
    if ending is None:
        raise ValueError(f'{path} must end in .nii or .nii.gz: volumes are written as NIfTI')
    if tuple(array.shape) != like.shape:
        raise ValueError(
            f'an array of shape {tuple(array.shape)} cannot be written with the geometry of '
            f'{like.path}, whose shape is {like.shape}'
        )
    nib = nibabel()
    header = None if like.header is None else like.header.copy()
    affine = np.eye(4) if like.affine is None else like.affine
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    image = kind(array, affine, header)
    image.set_data_dtype(array.dtype)
    image.header.set_slope_inter(1, 0)
    image.header['cal_min'] = image.header['cal_max'] = 0  # display range of the original
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{os.getpid()}_{path.name[: -len(ending)]}{ending}')
    try:
        nib.save(image, draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
