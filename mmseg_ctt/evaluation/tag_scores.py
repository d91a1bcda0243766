# Copyright (c) mmseg_ctt contributors.
"""Scores of an image classifier with several classes in an image."""

from typing import NamedTuple

import numpy as np


class TagScores(NamedTuple):
    """How well probabilities give the tags of images.

    Attributes:
        average_precision (np.ndarray): ``(F,)`` of each class; NaN for a class without an image.
        mean_average_precision (float): Mean over the classes that have an image.
        precision (float): Ratio of right ones among all tags that are given.
        recall (float): Ratio of all tags that are given.
        f1 (float): Of these two, over all classes together.
    """

    average_precision: np.ndarray
    mean_average_precision: float
    precision: float
    recall: float
    f1: float


def tag_scores(probability: np.ndarray, tags: np.ndarray, threshold: float = 0.5) -> TagScores:
    """Average precision, and F1 of the tags above a threshold.

    The average precision is the mean precision at the rank of each image that has the tag, among
    images of falling probability (equal ones in their order).

    Args:
        probability (np.ndarray): ``(N, F)`` in [0, 1].
        tags (np.ndarray): ``(N, F)``, 0 or 1.
        threshold (float): From above it on a tag is given. Defaults to 0.5.
    """
    order = np.argsort(-probability, axis=0, kind='stable')
    right = np.take_along_axis(tags.astype(bool), order, axis=0)
    rank = np.arange(1, len(right) + 1)[:, np.newaxis]
    precision_at = np.cumsum(right, axis=0) / rank
    number = right.sum(0)
    found = (precision_at * right).sum(0) / np.maximum(number, 1)
    average = np.where(number > 0, found, np.nan)
    given = probability > threshold
    hits = (given & tags.astype(bool)).sum()
    precision, recall = hits / max(given.sum(), 1), hits / max(tags.sum(), 1)
    return TagScores(
        average,
        float(found[number > 0].mean()) if (number > 0).any() else float('nan'),
        float(precision),
        float(recall),
        float(2 * precision * recall / max(precision + recall, 1e-12)),
    )
