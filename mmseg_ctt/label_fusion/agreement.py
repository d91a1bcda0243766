# Copyright (c) mmseg_ctt contributors.
"""Agreement of raters: Dice of each pair and class, Cohen's and Fleiss' kappa."""

from typing import Any, Dict, Iterable, List, Optional, Sequence

import numpy as np

from .votes import MISSING, count_votes


def pair_counts(first: np.ndarray, second: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels by the classes of two masks, where both have one.

    Args:
        first (np.ndarray): Class ids; 255: none.
        second (np.ndarray): Of the same shape.
        num_classes (int): Number of classes, K.

    Returns:
        np.ndarray: int64 ``(K, K)``, row: class of the first.
    """
    kept = (first != MISSING) & (second != MISSING)
    cells = first[kept].astype(np.int64) * num_classes + second[kept]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def dice_of_counts(counts: np.ndarray) -> np.ndarray:
    """Dice of each class, ``2 |A and B| / (|A| + |B|)``.

    Args:
        counts (np.ndarray): ``(..., K, K)`` of :func:`pair_counts`.

    Returns:
        np.ndarray: ``(..., K)``; NaN where neither mask has the class.
    """
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    total = counts.sum(axis=-1) + counts.sum(axis=-2)
    return np.where(total > 0, 2 * both / np.maximum(total, 1), np.nan)


def cohen_kappa(counts: np.ndarray) -> float:
    """Cohen's kappa: agreement beyond what the frequencies of the classes give by chance.

    Args:
        counts (np.ndarray): ``(K, K)`` of :func:`pair_counts`.

    Returns:
        float: 1 for full agreement, 0 for that of chance; NaN where both have one and the same
        class only, or no pixel in common.
    """
    total = counts.sum()
    if not total:
        return float('nan')
    expected = (counts.sum(axis=0) / total) @ (counts.sum(axis=1) / total)
    observed = np.trace(counts) / total
    return float((observed - expected) / (1 - expected)) if expected < 1 else float('nan')


def fleiss_kappa(labels: np.ndarray, num_classes: int) -> float:
    """Fleiss' kappa of all raters, over the pixels that every rater annotated.

    Args:
        labels (np.ndarray): ``(R, ...)`` class ids; 255: missing. Two raters or more.
        num_classes (int): Number of classes.

    Returns:
        float: NaN where no pixel has all labels, or one class alone occurs.
    """
    raters = len(labels)
    votes = count_votes(labels, num_classes).reshape(num_classes, -1).astype(np.float64)
    votes = votes[:, votes.sum(axis=0) == raters]
    if raters < 2 or not votes.size:
        return float('nan')
    observed = ((votes**2).sum(axis=0) - raters).mean() / (raters * (raters - 1))
    expected = ((votes.sum(axis=1) / votes.sum()) ** 2).sum()
    return float((observed - expected) / (1 - expected)) if expected < 1 else float('nan')


class AgreementTable:
    """Agreement of each pair of raters over a set of images.

    Args:
        names (Sequence[str]): Names of the R raters.
        num_classes (int): Number of classes, K.
    """

    def __init__(self, names: Sequence[str], num_classes: int) -> None:
        self.names, self.num_classes = list(names), num_classes
        self.counts: List[np.ndarray] = []

    def add(self, labels: np.ndarray) -> None:
        """Count one image.

        Args:
            labels (np.ndarray): ``(R, ...)`` class ids; 255: missing, also a whole mask.
        """
        self.add_counts(all_pair_counts(labels, self.num_classes))

    def add_counts(self, counts: np.ndarray) -> None:
        """Add the counts of one image, see :func:`all_pair_counts`."""
        self.counts.append(counts)

    def pairs(self, classes: Sequence[str]) -> List[Dict[str, Any]]:
        """One row for each pair of raters.

        Args:
            classes (Sequence[str]): Names of the classes.

        Returns:
            list[dict]: ``raters`` (two names), ``images`` that both annotated, ``dice`` by class
            (mean over the images in which one of the two has the class), ``cohen_kappa`` (of the
            pixels of all images together). None where it is not defined.
        """
        rows = []
        for r in range(len(self.names)):
            for s in range(r + 1, len(self.names)):
                counts = np.stack([image[r, s] for image in self.counts])
                counts = counts[counts.sum(axis=(1, 2)) > 0]
                dice = dice_of_counts(counts)
                rows.append(
                    dict(
                        raters=[self.names[r], self.names[s]],
                        images=len(counts),
                        dice={name: mean_of(dice[:, k]) for k, name in enumerate(classes)},
                        cohen_kappa=mean_of([cohen_kappa(counts.sum(axis=0))]),
                    )
                )
        return rows


def all_pair_counts(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """:func:`pair_counts` of all pairs of raters, int64 ``(R, R, K, K)``; 0 below the diagonal."""
    raters = len(labels)
    counts = np.zeros((raters, raters, num_classes, num_classes), np.int64)
    for r in range(raters):
        for s in range(r + 1, raters):
            counts[r, s] = pair_counts(labels[r], labels[s], num_classes)
    return counts


def mean_of(values: Iterable[Optional[float]]) -> Optional[float]:
    """Mean of the values that are defined; None without one, as JSON has no NaN."""
    known = [float(value) for value in values if value is not None and not np.isnan(value)]
    return sum(known) / len(known) if known else None
