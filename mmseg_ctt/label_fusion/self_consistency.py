# Copyright (c) mmseg_ctt contributors.
"""Self-consistency of a rater: like features should have like labels (arXiv 1612.02166, abstract).

The abstract gives the idea; forest, sampling and formulae are a reconstruction.
"""

import warnings
from typing import Any, Optional, Sequence

import numpy as np
from scipy import ndimage

from .features import window_sides
from .grid import relative_spacing
from .votes import MISSING


def class_probability(
    features: np.ndarray,
    label: np.ndarray,
    num_classes: int,
    trees: int = 60,
    min_leaf: int = 10,
    max_pixels: int = 20000,
    seed: int = 0,
) -> np.ndarray:
    """Probability of each class by a random forest on the pixels that a rater annotated.

    A pixel that trained trees has the probability of the other trees (out of bag), so that its own
    label does not confirm itself. Others have that of the whole forest.

    Args:
        features (np.ndarray): ``(..., F)``, see :func:`.features.image_features`.
        label (np.ndarray): Annotation of the rater, 255 where it is missing.
        num_classes (int): Number of classes, K.
        trees (int): Trees of the forest. Defaults to 60.
        min_leaf (int): Pixels of a leaf, at the fewest. Defaults to 10.
        max_pixels (int): Annotated pixels that train the forest, drawn at random; 0: all.
            Defaults to 20000.
        seed (int): Of forest and drawing. Defaults to 0.

    Returns:
        np.ndarray: ``(K, ...)`` float32.

    Raises:
        ValueError: If no pixel is annotated, or scikit-learn is not installed.
    """
    rows, known = features.reshape(-1, features.shape[-1]), np.flatnonzero(label != MISSING)
    if not known.size:
        raise ValueError('the rater annotated no pixel: leave this rater out')
    given = label.reshape(-1)
    if max_pixels and known.size > max_pixels:
        drawn = np.random.RandomState(seed).choice(known.size, max_pixels, replace=False)
        known = known[np.sort(drawn)]
    forest = _forest(trees, min_leaf, seed)
    with warnings.catch_warnings():  # of pixels that every tree has trained on, see below
        warnings.filterwarnings('ignore', 'Some inputs do not have OOB scores')
        forest.fit(rows[known], given[known])
    found, own = forest.predict_proba(rows), forest.oob_decision_function_
    out_of_bag = np.nan_to_num(own).sum(axis=1) > 0
    found[known[out_of_bag]] = own[out_of_bag]
    probability = np.zeros((num_classes, len(rows)), np.float32)
    probability[forest.classes_] = found.T
    return probability.reshape(num_classes, *label.shape)


def _forest(trees: int, min_leaf: int, seed: int) -> Any:
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ModuleNotFoundError:
        raise ValueError(
            "the consensus of raters needs scikit-learn: pip install 'mmseg_ctt[raters]'"
        ) from None
    return RandomForestClassifier(
        n_estimators=trees, min_samples_leaf=min_leaf, oob_score=True, random_state=seed
    )


def self_consistency(
    probability: np.ndarray,
    label: np.ndarray,
    annotated: np.ndarray,
    window: int = 7,
    spacing: Optional[Sequence[float]] = None,
) -> np.ndarray:
    """Self-consistency of each pixel: mean probability of the rater's own labels around it.

    ``SC_s = mean over a window of pi_u(L_u)``, times the confidence of the completion where the
    pixel was missing: ``|2 pi - 1|`` for two classes, the difference of the two highest
    probabilities for more.

    Args:
        probability (np.ndarray): ``(K, ...)`` of :func:`class_probability`.
        label (np.ndarray): Completed annotation, without missing pixels.
        annotated (np.ndarray): bool, pixels that the rater annotated.
        window (int): Side of the window, odd, in units of the smallest spacing. Defaults to 7.
        spacing (Sequence[float], optional): Of the pixels along each axis. Defaults to None: 1.

    Returns:
        np.ndarray: float32 in [0, 1], of the shape of ``label``.
    """
    own = np.take_along_axis(probability, label[None].astype(np.int64), axis=0)[0]
    sides = window_sides(window, relative_spacing(label.ndim, spacing))
    around = ndimage.uniform_filter(own, sides, mode='nearest')
    highest = np.sort(probability, axis=0)[-2:]
    confidence = np.where(annotated, 1, highest[1] - highest[0])
    return np.clip(around * confidence, 0, 1).astype(np.float32)
