# Copyright (c) mmseg_ctt contributors.
"""STAPLE: simultaneous truth and performance level estimation (Warfield et al., 2004)."""

from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .votes import MISSING, check_annotations

TINY = 1e-300


class Staple(NamedTuple):
    """Result of STAPLE.

    Attributes:
        label (np.ndarray): uint8 of the shape of one annotation, the most probable class, the
            lowest id of equal ones; 255 where no rater annotated.
        probability (np.ndarray): ``(K, ...)`` float32; 0 where no rater annotated.
        confusion (np.ndarray): ``(R, K, K)``, probability that rater r gives class j where class k
            is true, at ``[r, k, j]``. In binary masks ``[r, 1, 1]`` is the sensitivity and
            ``[r, 0, 0]`` the specificity.
        iterations (int): Number of EM steps.
    """

    label: np.ndarray
    probability: np.ndarray
    confusion: np.ndarray
    iterations: int


def staple(
    labels: np.ndarray,
    num_classes: int,
    prior: Optional[Sequence[float]] = None,
    max_iterations: int = 1000,
    tolerance: float = 1e-8,
) -> Staple:
    """Estimate the hidden true mask and the confusion matrix of each rater by EM.

    Starts from the votes, as ITK's filter does. Pixels with equal votes are equal in all steps, so
    each pattern of votes is computed once. Pixels that a rater did not annotate say nothing about
    this rater.

    Args:
        labels (np.ndarray): ``(R, ...)``, see :func:`check_annotations`.
        num_classes (int): Number of classes, K.
        prior (Sequence[float], optional): Probability of each class, the same for all pixels.
            Defaults to None: the mean of the votes.
        max_iterations (int): EM steps at the most. Defaults to 1000.
        tolerance (float): Ends where no entry of the confusion matrices changes by more.
            Defaults to 1e-8.

    Returns:
        Staple: Mask, probabilities, confusion matrices.

    Raises:
        ValueError: If no rater annotated any pixel, ``prior`` has not one entry a class, or
            :func:`check_annotations` refuses the labels.
    """
    labels = check_annotations(labels, num_classes)
    patterns, index, counts = vote_patterns(labels, num_classes)
    voted = patterns != num_classes  # (P, R)
    kept = voted.any(axis=1)
    if not kept.any():
        raise ValueError('no rater annotated any pixel: STAPLE has nothing to estimate from')
    given = np.eye(num_classes + 1)[patterns][:, :, :num_classes]  # (P, R, K), 0 where missing
    weight = counts * kept
    posterior = given.sum(axis=1) / np.maximum(voted.sum(axis=1, keepdims=True), 1)
    class_prior = _prior(prior, posterior, weight, num_classes)
    confusion = np.full((labels.shape[0], num_classes, num_classes), np.inf)
    iterations, change = 0, np.inf
    while change > tolerance and iterations < max_iterations:
        last, confusion = confusion, _maximise(posterior, given, weight)
        posterior = _expect(confusion, given, class_prior)
        change = np.abs(confusion - last).max()
        iterations += 1
    posterior[~kept] = 0
    label = posterior.argmax(axis=1).astype(np.uint8)
    label[~kept] = MISSING
    shape = labels.shape[1:]
    probability = np.moveaxis(posterior.astype(np.float32)[index], -1, 0)
    probability = probability.reshape(num_classes, *shape)
    return Staple(label[index].reshape(shape), probability, confusion, iterations)


def vote_patterns(
    labels: np.ndarray, num_classes: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different combinations of the raters' labels.

    Args:
        labels (np.ndarray): ``(R, ...)`` checked annotations.
        num_classes (int): Number of classes, K; K stands for a missing label.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: ``(P, R)`` combinations, the one of each pixel
        ``(N,)``, and the pixels of each ``(P,)``.
    """
    flat = labels.reshape(labels.shape[0], -1)
    index = np.zeros(flat.shape[1], np.int64)
    for label in flat:
        code = index * (num_classes + 1) + np.where(label == MISSING, num_classes, label)
        present = np.zeros(code.max() + 1, bool)
        present[code] = True
        index = (np.cumsum(present) - 1)[code]  # numbered without gaps, so that codes stay small
    first = np.zeros(index.max() + 1, np.int64)
    first[index] = np.arange(len(index))
    patterns = flat[:, first].T.astype(np.int64)
    patterns[patterns == MISSING] = num_classes
    return patterns, index, np.bincount(index)


def _prior(
    given: Optional[Sequence[float]], posterior: np.ndarray, weight: np.ndarray, num_classes: int
) -> np.ndarray:
    if given is None:
        return weight @ posterior / weight.sum()
    prior = np.asarray(given, np.float64)
    if prior.shape != (num_classes,) or (prior < 0).any() or not prior.sum() > 0:
        raise ValueError(f'prior={given!r} must have one probability for each of {num_classes}')
    return prior / prior.sum()


def _maximise(posterior: np.ndarray, given: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Confusion matrices ``(R, K, K)`` from the probabilities of the classes."""
    joint = np.einsum('p,pk,prj->rkj', weight, posterior, given)
    total = joint.sum(axis=2, keepdims=True)
    # a class that is true nowhere tells nothing about a rater
    return np.where(total > 0, joint / np.maximum(total, TINY), 1 / posterior.shape[1])


def _expect(confusion: np.ndarray, given: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Probabilities of the classes ``(P, K)`` from the confusion matrices."""
    log = np.einsum('prj,rkj->pk', given, np.log(np.maximum(confusion, TINY)))
    log += np.log(np.maximum(prior, TINY))
    odds = np.exp(log - log.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)
