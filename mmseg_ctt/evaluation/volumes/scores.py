# Copyright (c) mmseg_ctt contributors.
"""Dice, Jaccard, HD95 and ASD of the classes of one case."""

import math
import re
from typing import NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from .surfaces import average_surface_distance, hausdorff_distance, surface_distances

Empty = Union[str, float]
SCORES = ('Dice', 'Jaccard', 'HD95', 'ASD')
RATIOS = ('Dice', 'Jaccard')  # from 0 to 1; the others are distances in mm, lower is better
LOGGED = re.compile(rf'(?:^|/)m?({"|".join(SCORES)})(?:_|$)')


class Scores(NamedTuple):
    """Scores of one class in one case.

    Attributes:
        dice (float): ``2 |P & T| / (|P| + |T|)``, 0 to 1.
        jaccard (float): ``|P & T| / |P | T|``, 0 to 1.
        hd95 (float): 95th percentile of the Hausdorff distance in mm.
        asd (float): Average symmetric surface distance in mm.
    """

    dice: float
    jaccard: float
    hd95: float
    asd: float


def mask_scores(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float], empty: Empty = 'diagonal'
) -> Scores:
    """Scores of a predicted mask.

    Both masks empty: Dice and Jaccard 1, distances 0. One of them empty: Dice and Jaccard 0,
    distances by ``empty``.

    Args:
        prediction (np.ndarray): Bool, ``(X, Y, Z)`` or ``(H, W)``.
        truth (np.ndarray): Bool, of the same shape.
        spacing (Sequence[float]): In mm along each axis.
        empty (str | float): Distance where one mask is empty: ``'diagonal'``, the diagonal of the
            volume in mm, ``sqrt(sum((shape * spacing)**2))``, which no distance in it exceeds;
            ``'nan'``, which means leave out; or a number of mm. Defaults to 'diagonal'.

    Raises:
        ValueError: If the shapes differ, or spacing or ``empty`` are none.
    """
    spacing = checked_spacing(spacing, truth.ndim)
    check_empty(empty)
    if prediction.shape != truth.shape:
        raise ValueError(f'the prediction is {prediction.shape}, the truth {truth.shape}')
    predicted, true = int(np.count_nonzero(prediction)), int(np.count_nonzero(truth))
    if not predicted and not true:
        return Scores(1.0, 1.0, 0.0, 0.0)
    if not predicted or not true:
        distance = _penalty(empty, truth.shape, spacing)
        return Scores(0.0, 0.0, distance, distance)
    common = int(np.count_nonzero(prediction & truth))
    sides = surface_distances(prediction, truth, spacing)
    return Scores(
        2 * common / (predicted + true),
        common / (predicted + true - common),
        hausdorff_distance(*sides),
        average_surface_distance(*sides),
    )


def class_scores(
    prediction: np.ndarray,
    truth: np.ndarray,
    classes: Sequence[int],
    spacing: Sequence[float],
    ignore_index: Optional[int] = 255,
    empty: Empty = 'diagonal',
) -> np.ndarray:
    """Scores of the classes of one case.

    Args:
        prediction (np.ndarray): ``(X, Y, Z)`` or ``(H, W)``, class ids.
        truth (np.ndarray): Class ids, of the same shape.
        classes (Sequence[int]): Ids of the ``K`` classes to score.
        spacing (Sequence[float]): In mm along each axis.
        ignore_index (int, optional): Voxels of this true label belong to no class, in prediction
            and truth. None: there are none. Defaults to 255.
        empty (str | float): See :func:`mask_scores`.

    Returns:
        np.ndarray: ``(K, 4)`` float64, in the order of ``SCORES``.

    Raises:
        ValueError: See :func:`mask_scores`.
    """
    known = None if ignore_index is None else truth != ignore_index
    if known is not None and known.all():
        known = None
    found = np.empty((len(classes), len(SCORES)))
    for row, k in enumerate(classes):
        predicted, true = prediction == k, truth == k
        if known is not None and predicted.shape == known.shape:
            predicted, true = predicted & known, true & known
        found[row] = mask_scores(predicted, true, spacing, empty)
    return found


def one_empty(
    prediction: np.ndarray,
    truth: np.ndarray,
    classes: Sequence[int],
    ignore_index: Optional[int] = 255,
) -> np.ndarray:
    """Classes whose distances are no measured ones: one of prediction and label lacks them.

    Args:
        prediction (np.ndarray): Class ids.
        truth (np.ndarray): Class ids, of the same shape.
        classes (Sequence[int]): Ids of the ``K`` classes.
        ignore_index (int, optional): As for :func:`class_scores`. Defaults to 255.

    Returns:
        np.ndarray: ``(K,)`` bool.
    """
    if ignore_index is not None:
        known = truth != ignore_index
        prediction, truth = prediction[known], truth[known]
    predicted, true = (np.isin(classes, np.unique(ids)) for ids in (prediction, truth))
    return predicted != true


def score_of(name: str) -> Optional[str]:
    """Which of :data:`SCORES` a logged one is; None: another one.

    Args:
        name (str): Such as ``'teacher0/volume/mDice'``, or ``'volume/HD95_<class>'``.
    """
    found = LOGGED.search(name)
    return found[1] if found else None


def checked_spacing(spacing: Sequence[float], ndim: int) -> Tuple[float, ...]:
    """Spacing as a tuple of floats.

    Raises:
        ValueError: If it is not one positive number of mm for each axis.
    """
    values = tuple(float(value) for value in spacing)
    if len(values) != ndim or not all(0 < value < math.inf for value in values):
        raise ValueError(f'spacing must be {ndim} positive numbers of mm, got {values}')
    return values


def check_background(background: Optional[int], classes: Sequence[str]) -> None:
    """Check the class that has no scores.

    Args:
        background (int, optional): Its id; None or -1: all classes have scores.
        classes (Sequence[str]): Names of the classes.

    Raises:
        ValueError: If it is no class.
    """
    if background is not None and not -1 <= background < len(classes):
        raise ValueError(
            f'background={background} must be one of the classes 0 to {len(classes) - 1} '
            f'({", ".join(classes)}), or -1 for none'
        )


def check_empty(empty: Empty) -> None:
    """Check the setting for empty masks.

    Raises:
        ValueError: If it is neither 'diagonal' nor 'nan' nor a number from 0.
    """
    if isinstance(empty, str):
        known = empty in ('diagonal', 'nan')
    else:
        known = isinstance(empty, (int, float)) and not isinstance(empty, bool)
        known = known and 0 <= empty < math.inf
    if not known:
        raise ValueError(f"empty must be 'diagonal', 'nan' or a number of mm from 0, got {empty!r}")


def _penalty(empty: Empty, shape: Sequence[int], spacing: Sequence[float]) -> float:
    if empty == 'diagonal':
        return math.hypot(*(size * step for size, step in zip(shape, spacing)))
    return float(empty)
