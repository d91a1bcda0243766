# Copyright (c) mmseg_ctt contributors.
"""Fusion of the predictions that networks of several planes make of one volume.

The majority with its tie rule is that of DMPCT (arXiv 1804.02586), for three planes; for other
numbers the rule is ours. Union, at least two and intersection are the sets F1, F2 and F3 that the
released code of OrganSegC2F (arXiv 1612.08230) forms for one organ. Where several classes claim a
voxel of F1, the votes decide, then the tie rule: ours.
"""

from typing import Iterable, Optional

import numpy as np

BACKGROUND = 0
IGNORE = 255
VOTES_NEEDED = dict(union=1, at_least_two=2, intersection=None)  # None: all planes


def majority_label(labels: np.ndarray, tie: int = -1) -> np.ndarray:
    """Label with the most votes at every voxel.

    Where labels have equally many votes, that of the plane ``tie`` if it is among them, else that
    of the first plane whose label is. Three planes that all differ give the label of ``tie``.

    Args:
        labels (np.ndarray): ``(P, ...)`` integers, class ids that ``P`` planes predict.
        tie (int): Index of the plane whose label decides. Defaults to -1, the last: the axial
            plane of (x, y, z).

    Returns:
        np.ndarray: ``(...)``, of the same dtype.
    """
    ordered = _ordered(labels, tie)
    return _winner(ordered, _votes(ordered))


def agreed_label(
    labels: np.ndarray, needed: Optional[int] = None, tie: int = -1, background: int = BACKGROUND
) -> np.ndarray:
    """Class other than the background that enough planes predict, else the background.

    ``needed`` of 1, 2 and ``P`` gives F1, F2 and F3 of OrganSegC2F for every class. Where several
    classes have enough votes, the one with the most is taken, and among equals that of ``tie``.

    Args:
        labels (np.ndarray): ``(P, ...)`` integers, class ids that ``P`` planes predict.
        needed (int, optional): Votes needed. Defaults to None: those of all planes.
        tie (int): Index of the plane whose label decides. Defaults to -1, the last.
        background (int): Its class id. Defaults to 0.

    Returns:
        np.ndarray: ``(...)``, of the same dtype.
    """
    ordered = _ordered(labels, tie)
    votes = _votes(ordered)
    counted = (ordered != background) & (votes >= (len(ordered) if needed is None else needed))
    votes[~counted] = 0
    made = _winner(ordered, votes)
    made[~counted.any(axis=0)] = background
    return made


def soft_label(probabilities: Iterable[np.ndarray]) -> np.ndarray:
    """Class of the highest mean probability, the lowest id among equals.

    Args:
        probabilities (Iterable[np.ndarray]): ``(K, ...)`` floats of each plane, read one at a time.

    Returns:
        np.ndarray: ``(...)`` uint8.
    """
    return mean_probability(probabilities).argmax(axis=0).astype(np.uint8)


def mean_probability(probabilities: Iterable[np.ndarray]) -> np.ndarray:
    """Mean of the class probabilities of the planes.

    Args:
        probabilities (Iterable[np.ndarray]): ``(K, ...)`` floats of each plane, read one at a time.

    Returns:
        np.ndarray: ``(K, ...)`` float32.
    """
    total, number = np.zeros((), np.float32), 0
    for plane in probabilities:
        total, number = np.add(total, plane, dtype=np.float32), number + 1
    return total / np.float32(number)


def disagreement(labels: np.ndarray) -> np.ndarray:
    """Voxels where not all planes predict the same class.

    Args:
        labels (np.ndarray): ``(P, ...)`` integers.

    Returns:
        np.ndarray: ``(...)`` bool.
    """
    return (labels != labels[:1]).any(axis=0)


def _ordered(labels: np.ndarray, tie: int) -> np.ndarray:
    """The labels with the plane that decides ties in front."""
    labels = np.asarray(labels)
    first = tie % len(labels)
    return labels[[first, *(p for p in range(len(labels)) if p != first)]]


def _winner(labels: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Label with the most votes, that of the first plane among equals."""
    return np.take_along_axis(labels, votes.argmax(axis=0)[None], axis=0)[0]


def _votes(labels: np.ndarray) -> np.ndarray:
    """Number of planes ``(P, ...)`` uint8 that predict what each plane predicts, at least 1."""
    votes = np.ones(labels.shape, np.uint8)
    for p in range(len(labels)):
        for q in range(p):
            same = labels[p] == labels[q]
            votes[p] += same
            votes[q] += same
    return votes
