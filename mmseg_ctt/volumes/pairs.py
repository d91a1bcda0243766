# Copyright (c) mmseg_ctt contributors.
"""Checks that an image volume and its label volume belong together."""

import numpy as np

from .reading import Volume

ATOL = 1e-3  # mm, and columns of the affine per voxel


def check_geometry(image: Volume, label: Volume) -> None:
    """An image and its label have one shape, and one affine where both files have it.

    Args:
        image (Volume): Its header is read.
        label (Volume): Its header is read.

    Raises:
        ValueError: Naming both files.
    """
    if image.shape != label.shape:
        raise ValueError(
            f'the label {label.path} has the shape {label.shape}, its volume {image.path} '
            f'{image.shape}: resample the label to the volume'
        )
    found, expected = label.affine_mm, image.affine_mm
    if found is None or expected is None:
        return
    if not np.allclose(expected, found, rtol=0, atol=ATOL):
        row, column = np.unravel_index(np.abs(expected - found).argmax(), (4, 4))
        raise ValueError(
            f'the label {label.path} has another affine than its volume {image.path} (row {row}, '
            f'column {column}: {found[row, column]:g} and {expected[row, column]:g} mm): '
            'resample the label to the volume, or correct its header'
        )


def check_pair(image: Volume, label: Volume, num_classes: int, ignore_index: int = 255) -> None:
    """An image and its label fit, and every label is a class.

    Args:
        image (Volume): Its header is read.
        label (Volume): Its array is read, see :func:`.reading.read_label`.
        num_classes (int): Ids 0 to ``num_classes - 1`` are classes.
        ignore_index (int): The one other id allowed. Defaults to 255.

    Raises:
        ValueError: Naming the file and what is wrong with it.
    """
    check_geometry(image, label)
    ids, voxels = np.unique(label.array, return_counts=True)
    known = ((ids >= 0) & (ids < num_classes)) | (ids == ignore_index)
    if not known.all():
        first = int(np.flatnonzero(~known)[0])
        raise ValueError(
            f'the label {label.path} holds {ids[first]:g} in {voxels[first]} voxels, which is no '
            f'class: ids are 0..{num_classes - 1} and the ignore index {ignore_index}'
        )
