# Copyright (c) mmseg_ctt contributors.
"""Votes of raters: counts, majority vote, class probabilities."""

from typing import List

import numpy as np

MISSING = 255  # label of a pixel that a rater did not annotate
TIES = ('lowest', 'first', 'ignore')


def check_annotations(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Annotations of one image by R raters, checked.

    Args:
        labels (np.ndarray): ``(R, ...)`` integers in ``[0, num_classes)``, or :data:`MISSING`.
        num_classes (int): Number of classes, 2 to 255.

    Returns:
        np.ndarray: uint8 of the same shape.

    Raises:
        ValueError: For another number of dimensions or classes, no rater, or an id that is no
            class.
    """
    labels = np.asarray(labels)
    if not 2 <= num_classes <= MISSING:
        raise ValueError(f'num_classes={num_classes} must be 2 to {MISSING}')
    if labels.ndim < 2 or not labels.size:
        raise ValueError(
            f'labels of shape {labels.shape} are no annotations: give (raters, height, width) or '
            '(raters, x, y, z)'
        )
    if labels.dtype.kind not in 'biu':
        raise ValueError(f'labels hold {labels.dtype}, not integer ids')
    wrong = labels[(labels != MISSING) & ((labels < 0) | (labels >= num_classes))]
    if wrong.size:
        raise ValueError(
            f'labels hold the id {wrong[0]}, which is neither a class (0..{num_classes - 1}) nor '
            f'{MISSING} (not annotated)'
        )
    return labels.astype(np.uint8, copy=False)


def count_votes(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Number of raters for each class.

    Args:
        labels (np.ndarray): ``(R, ...)``, see :func:`check_annotations`.
        num_classes (int): Number of classes, K.

    Returns:
        np.ndarray: ``(K, ...)`` int16.
    """
    return np.stack([(labels == k).sum(axis=0, dtype=np.int16) for k in range(num_classes)])


def majority_vote(labels: np.ndarray, num_classes: int, tie: str = 'lowest') -> np.ndarray:
    """Class that most raters gave.

    Args:
        labels (np.ndarray): ``(R, ...)``, see :func:`check_annotations`. Raters who did not
            annotate a pixel have no vote.
        num_classes (int): Number of classes.
        tie (str): Among the classes with most votes: ``'lowest'``: the lowest id, in binary masks
            the background; ``'first'``: the vote of the first rater, in the order given, for one of
            them; ``'ignore'``: 255. Defaults to 'lowest'.

    Returns:
        np.ndarray: uint8 of the shape of one annotation; 255 where no rater voted.

    Raises:
        ValueError: For another ``tie``, or what :func:`check_annotations` refuses.
    """
    labels = check_annotations(labels, num_classes)
    if tie not in TIES:
        raise ValueError(f'tie={tie!r} must be one of {TIES}')
    votes = count_votes(labels, num_classes)
    most = votes.max(axis=0)
    best = votes == most
    fused = best.argmax(axis=0).astype(np.uint8)
    if tie == 'first':
        for label in labels[::-1]:
            own = np.where(label == MISSING, 0, label)
            chosen = (label != MISSING) & np.take_along_axis(best, own[None], axis=0)[0]
            fused = np.where(chosen, label, fused)
    elif tie == 'ignore':
        fused[best.sum(axis=0) > 1] = MISSING
    fused[most == 0] = MISSING
    return fused


def soft_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Class probabilities: votes for each class divided by the raters who annotated the pixel.

    Args:
        labels (np.ndarray): ``(R, ...)``, see :func:`check_annotations`.
        num_classes (int): Number of classes, K.

    Returns:
        np.ndarray: ``(K, ...)`` float32; 0 for all classes where no rater voted.
    """
    votes = count_votes(check_annotations(labels, num_classes), num_classes)
    return (votes / np.maximum(votes.sum(axis=0), 1)).astype(np.float32)


def raters_with_labels(labels: np.ndarray) -> List[int]:
    """Raters, by position, who annotated a pixel of the image."""
    return [r for r, label in enumerate(labels) if (label != MISSING).any()]


def differing(labels: np.ndarray) -> np.ndarray:
    """Pixels that two raters gave different classes, bool.

    Args:
        labels (np.ndarray): ``(R, ...)`` class ids; 255: not annotated.
    """
    known = labels != MISSING
    highest = np.where(known, labels, 0).max(axis=0)
    return known.any(axis=0) & (labels.min(axis=0) < highest)
