# Copyright (c) mmseg_ctt contributors.
"""Connected components of masks and of label volumes."""

from typing import Optional, Sequence, Tuple

import numpy as np
from scipy import ndimage


def components(mask: np.ndarray, connectivity: int = 1) -> Tuple[np.ndarray, np.ndarray]:
    """Connected components of a mask.

    Args:
        mask (np.ndarray): Bool, of any number of dimensions.
        connectivity (int): Axes along which neighbours may differ: 1 for neighbours across a face
            (6 in 3D, 4 in 2D), ``mask.ndim`` for all around (26 and 8). Defaults to 1.

    Returns:
        tuple[np.ndarray, np.ndarray]: Number of each voxel's component, int32 from 1, 0 outside
        the mask; and ``(N,)`` int64, number of voxels of component 1, 2, ..., N.

    Raises:
        ValueError: If ``connectivity`` is not in 1..mask.ndim.
    """
    if not 1 <= connectivity <= mask.ndim:
        raise ValueError(f'connectivity must be in 1..{mask.ndim}, got {connectivity}')
    structure = ndimage.generate_binary_structure(mask.ndim, connectivity)
    numbers, count = ndimage.label(mask, structure)
    return numbers, np.bincount(numbers.ravel(), minlength=count + 1)[1:]


def largest_components(mask: np.ndarray, keep: int = 1, connectivity: int = 1) -> np.ndarray:
    """The largest connected components of a mask.

    Of components of equal size the one whose first voxel comes first in the array is kept.

    Args:
        mask (np.ndarray): Bool, of any number of dimensions.
        keep (int): Number of components to keep. Defaults to 1.
        connectivity (int): See :func:`components`.

    Returns:
        np.ndarray: Bool, of the same shape; an empty mask stays empty.

    Raises:
        ValueError: If ``keep`` is not positive, or ``connectivity`` is none.
    """
    if keep < 1:
        raise ValueError(f'keep must be positive, got {keep}')
    numbers, sizes = components(mask, connectivity)
    if len(sizes) <= keep:
        return mask.copy()
    kept = np.zeros(len(sizes) + 1, bool)
    kept[1 + np.argsort(-sizes, kind='stable')[:keep]] = True
    return kept[numbers]


def clean_labels(
    label: np.ndarray,
    classes: Optional[Sequence[int]] = None,
    keep: int = 1,
    background: int = 0,
    connectivity: int = 1,
) -> np.ndarray:
    """Label volume with the largest components of each class; the others become background.

    Args:
        label (np.ndarray): Class ids, of any number of dimensions.
        classes (Sequence[int], optional): Classes to clean. Defaults to None: all that the volume
            has, except the background.
        keep (int): Components to keep of each class. Defaults to 1.
        background (int): Class that the removed voxels become. Defaults to 0.
        connectivity (int): See :func:`components`.

    Returns:
        np.ndarray: Of the same shape and dtype; the input is unchanged.
    """
    cleaned = label.copy()
    present = np.unique(label) if classes is None else classes
    for k in present:
        if k != background:
            mask = label == k
            cleaned[mask & ~largest_components(mask, keep, connectivity)] = background
    return cleaned
