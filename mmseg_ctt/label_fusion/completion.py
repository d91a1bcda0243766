# Copyright (c) mmseg_ctt contributors.
"""Completion of missing annotations from image features and local consistency.

The abstract (arXiv 1612.02166) names semi-supervised prediction of missing labels by global
features and local image consistency. The formulae are a reconstruction.
"""

from typing import Optional, Sequence

import numpy as np
from scipy.spatial import cKDTree

from .features import image_channels
from .grid import Slices, neighbour_pairs
from .votes import MISSING

LOCAL = ('none', 'mean', 'neighbors')  # kinds of local consistency
NEAREST = 15  # annotated neighbours in the space of features


def complete_annotation(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Annotation whose missing pixels have their most probable class.

    Args:
        label (np.ndarray): Annotation of one rater, 255 where it is missing.
        probability (np.ndarray): ``(K, ...)`` of the rater, after :func:`locally_consistent` where
            that is used. Of equal ones the lowest id is taken.

    Returns:
        np.ndarray: uint8, without missing pixels.
    """
    return np.where(label == MISSING, probability.argmax(axis=0), label).astype(np.uint8)


def locally_consistent(
    probability: np.ndarray,
    label: np.ndarray,
    image: np.ndarray,
    kind: str = 'mean',
    features: Optional[np.ndarray] = None,
    spacing: Optional[Sequence[float]] = None,
) -> np.ndarray:
    """Probabilities of missing pixels, averaged over like pixels.

    - ``'none'``: as they are.
    - ``'mean'``: over the pixel and its neighbours (8 in an image, 6 in a volume), weighted by
      ``exp(-|I_s - I_t|^2 / (2 sigma^2))`` of the intensities; annotated neighbours count with
      their label.
    - ``'neighbors'``: with the labels of the 15 annotated pixels of nearest features, half and
      half.

    Args:
        probability (np.ndarray): ``(K, ...)`` of one rater.
        label (np.ndarray): Annotation of the rater, 255 where it is missing.
        image (np.ndarray): The image, with or without channels.
        kind (str): One of the above. Defaults to 'mean'.
        features (np.ndarray, optional): ``(..., F)``; needed for ``'neighbors'``.
        spacing (Sequence[float], optional): Of the pixels along each axis. Defaults to None: 1.

    Returns:
        np.ndarray: ``(K, ...)`` float32; annotated pixels keep theirs.

    Raises:
        ValueError: For another kind, or ``'neighbors'`` without features.
    """
    if kind not in LOCAL:
        raise ValueError(f'local_consistency={kind!r} must be one of {LOCAL}')
    missing = label == MISSING
    if kind == 'none' or not missing.any():
        return probability
    if kind == 'mean':
        known = np.arange(len(probability)).reshape(-1, *(1,) * label.ndim) == label
        smooth = guided_mean(np.where(missing, probability, known), image, spacing)
    else:
        if features is None:
            raise ValueError("local_consistency='neighbors' needs the features of the image")
        smooth = probability.copy()
        smooth[:, missing] += nearest_labels(features, label, len(probability))
        smooth[:, missing] /= 2
    return np.where(missing, smooth, probability).astype(np.float32)


def guided_mean(
    maps: np.ndarray, image: np.ndarray, spacing: Optional[Sequence[float]] = None
) -> np.ndarray:
    """Mean over each pixel and its neighbours, weighted by likeness of intensity and distance.

    Args:
        maps (np.ndarray): ``(K, ...)``.
        image (np.ndarray): Of the same size, with or without channels.
        spacing (Sequence[float], optional): Of the pixels along each axis. Defaults to None: 1.

    Returns:
        np.ndarray: ``(K, ...)`` float64.
    """
    ndim = maps.ndim - 1
    stack = np.stack(image_channels(image, ndim))
    total, weights = maps.astype(np.float64), np.ones(maps.shape[1:])
    diagonal = 8 if ndim == 2 else 6
    for first, second, distance in neighbour_pairs(maps.shape[1:], diagonal, spacing):
        weight = likeness(channels_at(stack, first), channels_at(stack, second), stack)
        weight /= distance
        for here, other in ((first, second), (second, first)):
            channels_at(total, here)[...] += weight * channels_at(maps, other)
            weights[here] += weight
    return total / weights


def likeness(
    values: np.ndarray, others: np.ndarray, image: np.ndarray, sigma: Optional[float] = None
) -> np.ndarray:
    """``exp(-(I_s - I_t)^2 / (2 sigma^2))``, the square averaged over channels.

    Args:
        values (np.ndarray): ``(C, ...)`` intensities.
        others (np.ndarray): Those they are compared with.
        image (np.ndarray): ``(C, ...)`` whole image, whose standard deviation sigma is.
        sigma (float, optional): Instead of that one. Defaults to None.

    Returns:
        np.ndarray: ``(...)`` float64 in [0, 1]; 1 everywhere in a constant image.
    """
    spread = sigma if sigma is not None else float(np.sqrt(image.var(axis=_axes(image)).mean()))
    square = ((values.astype(np.float64) - others) ** 2).mean(axis=0)
    return np.exp(-square / (2 * spread**2)) if spread > 0 else np.ones_like(square)


def channels_at(maps: np.ndarray, where: Slices) -> np.ndarray:
    """View of all channels of a part of the pixels."""
    return maps[(slice(None),) + where]


def _axes(image: np.ndarray) -> tuple:
    return tuple(range(1, image.ndim))


def nearest_labels(features: np.ndarray, label: np.ndarray, num_classes: int) -> np.ndarray:
    """Classes of the annotated pixels of nearest features, for each missing pixel.

    Features are divided by their standard deviations.

    Args:
        features (np.ndarray): ``(..., F)``.
        label (np.ndarray): Annotation, 255 where it is missing.
        num_classes (int): Number of classes, K.

    Returns:
        np.ndarray: ``(K, M)``, part of the neighbours of each class, for the M missing pixels.
    """
    rows = features.reshape(-1, features.shape[-1]).astype(np.float64)
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    flat = label.reshape(-1)
    known = np.flatnonzero(flat != MISSING)
    count = min(NEAREST, known.size)
    _, index = cKDTree(rows[known]).query(rows[flat == MISSING], k=count)
    given = flat[known][index.reshape(-1, count)]
    return np.stack([(given == k).mean(axis=1) for k in range(num_classes)])
