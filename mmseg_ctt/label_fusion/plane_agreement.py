# Copyright (c) mmseg_ctt contributors.
"""How far the planes of a volume agree: Dice of each pair, ratio of voxels where all do."""

from itertools import combinations
from typing import Dict, Mapping, Sequence

import numpy as np

from .planes import disagreement


def pairwise_dice(labels: Mapping[str, np.ndarray], classes: Sequence[int]) -> Dict[str, dict]:
    """Dice of each pair of label volumes, class by class.

    Args:
        labels (Mapping[str, np.ndarray]): Class ids ``(X, Y, Z)`` by the name of the plane.
        classes (Sequence[int]): Class ids.

    Returns:
        dict[str, dict]: ``{'x-y': {'1': 0.93, ...}, ...}``; 1 for a class that neither has.
    """
    made: Dict[str, dict] = {}
    for first, second in combinations(labels, 2):
        dice = made[f'{first}-{second}'] = {}
        for k in classes:
            one, other = labels[first] == k, labels[second] == k
            size = np.count_nonzero(one) + np.count_nonzero(other)
            dice[str(k)] = 2 * np.count_nonzero(one & other) / size if size else 1.0
    return made


def plane_agreement(labels: Mapping[str, np.ndarray]) -> dict:
    """Agreement of the planes of one volume.

    Args:
        labels (Mapping[str, np.ndarray]): Class ids ``(X, Y, Z)`` by the name of the plane.

    Returns:
        dict: ``dice`` of :func:`pairwise_dice` for the classes other than 0 that a plane predicts,
        and ``agreeing``, the ratio of voxels where all planes predict the same.
    """
    stacked = np.stack(list(labels.values()))
    classes = np.setdiff1d(np.unique(stacked), (0,)).tolist()
    return dict(
        dice=pairwise_dice(labels, classes), agreeing=1 - float(disagreement(stacked).mean())
    )
