# Copyright (c) mmseg_ctt contributors.
"""Surfaces of masks and the distances between them, in mm."""

from typing import Sequence, Tuple

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

LEAF_SIZE = 32  # of the tree of a surface that is asked once, for all points of the other


def surface_points(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Centres of the surface voxels of a mask.

    A surface voxel is a voxel of the mask with a neighbour across a face (an edge in 2D) that is
    not in the mask. Outside the array nothing is in the mask, so that an object which touches the
    border of the volume has a surface there.

    Args:
        mask (np.ndarray): Bool, ``(X, Y, Z)`` or ``(H, W)``.
        spacing (Sequence[float]): Distance of neighbouring centres along each axis, in mm.

    Returns:
        np.ndarray: ``(N, mask.ndim)`` float64 in mm from the centre of the first voxel.
    """
    boxes = ndimage.find_objects(mask.view(np.uint8))
    if not boxes:
        return np.empty((0, mask.ndim))
    cut = mask[boxes[0]]  # nothing of the mask is outside this box
    corner = [side.start for side in boxes[0]]
    voxels = np.argwhere(cut & ~ndimage.binary_erosion(cut))
    return (voxels + corner) * np.asarray(spacing, np.float64)


def surface_distances(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float]
) -> Tuple[np.ndarray, np.ndarray]:
    """Distance of each surface voxel to the nearest surface voxel of the other mask.

    Args:
        prediction (np.ndarray): Bool, ``(X, Y, Z)`` or ``(H, W)``, not empty.
        truth (np.ndarray): Bool, of the same shape, not empty.
        spacing (Sequence[float]): In mm along each axis.

    Returns:
        tuple[np.ndarray, np.ndarray]: Distances in mm, ``(N,)`` of the prediction's surface and
        ``(M,)`` of the truth's.
    """
    predicted, true = surface_points(prediction, spacing), surface_points(truth, spacing)
    to_truth, _ = KDTree(true, leafsize=LEAF_SIZE).query(predicted)
    to_prediction, _ = KDTree(predicted, leafsize=LEAF_SIZE).query(true)
    return to_truth, to_prediction


def hausdorff_distance(
    to_truth: np.ndarray, to_prediction: np.ndarray, percentile: float = 95
) -> float:
    """Hausdorff distance of surfaces, by a percentile of each direction.

    ``max(percentile(to_truth), percentile(to_prediction))``; percentiles between two values are
    interpolated linearly. MONAI has the same definition; others pool both directions first.

    Args:
        to_truth (np.ndarray): ``(N,)`` from :func:`surface_distances`.
        to_prediction (np.ndarray): ``(M,)`` from :func:`surface_distances`.
        percentile (float): 100 is the largest distance. Defaults to 95.

    Returns:
        float: In mm.
    """
    return max(float(np.percentile(side, percentile)) for side in (to_truth, to_prediction))


def average_surface_distance(to_truth: np.ndarray, to_prediction: np.ndarray) -> float:
    """Average symmetric surface distance: the mean over the voxels of both surfaces.

    Args:
        to_truth (np.ndarray): ``(N,)`` from :func:`surface_distances`.
        to_prediction (np.ndarray): ``(M,)`` from :func:`surface_distances`.

    Returns:
        float: In mm.
    """
    return float(np.concatenate([to_truth, to_prediction]).mean())
