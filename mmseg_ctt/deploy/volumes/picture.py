# Copyright (c) mmseg_ctt contributors.
"""Picture of a predicted volume: one slice with its labels."""

from typing import Optional, Tuple

import numpy as np
from mmseg.datasets import BaseSegDataset

from ...visualization import colorize
from ...volumes import Volume, slice_image, value_limits
from ...volumes.planes import axis_of, take_slice
from .settings import SliceSettings

ALPHA = 0.5  # weight of the colours


def fullest_slice(labels: np.ndarray, plane: str) -> int:
    """Slice with the most voxels that are not background; the middle one where all are.

    Args:
        labels (np.ndarray): ``(X, Y, Z)`` class ids.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.
    """
    axis = axis_of(plane)
    counts = (labels > 0).sum(axis=tuple(k for k in range(3) if k != axis))
    return int(counts.argmax()) if counts.any() else len(counts) // 2


def overlay_slice(
    labels: np.ndarray,
    volume: Volume,
    settings: SliceSettings,
    classes: Tuple[str, ...],
    index: Optional[int] = None,
) -> np.ndarray:
    """Slice of a volume in grey, with the classes other than the background in colours.

    Args:
        labels (np.ndarray): ``(X, Y, Z)`` class ids.
        volume (Volume): Of the same shape.
        settings (SliceSettings): Plane, and the values that become black and white.
        classes (tuple[str, ...]): Names; colours are those that mmseg gives without a palette.
        index (int, optional): Slice. Defaults to None: see :func:`fullest_slice`.

    Returns:
        np.ndarray: ``(H, W, 3)`` uint8, RGB.
    """
    index = fullest_slice(labels, settings.plane) if index is None else index
    limits = value_limits(volume.array, settings.window, settings.percentiles, volume.path)
    grey = slice_image(volume.array, settings.plane, index, limits=limits)
    palette = BaseSegDataset(metainfo=dict(classes=classes), lazy_init=True).metainfo['palette']
    shown = take_slice(labels, settings.plane, index)
    weight = ALPHA * (shown > 0)[..., None]
    mixed = grey[..., None] * (1 - weight) + colorize(shown, palette) * weight
    return mixed.round().astype(np.uint8)
