# Copyright (c) mmseg_ctt contributors.
"""Distances of predictions, weights of pixels and hard examples in NumPy, one pixel at a time."""

from typing import Optional

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of one pixel."""
    weight = np.exp(logits - logits.max())
    return weight / weight.sum()


def distance(kind: str, logits: np.ndarray, target: np.ndarray, reduction: str = 'sum') -> float:
    """Of one pixel: ``logits`` ``(K,)``, ``target`` a class, probabilities or logits."""
    p = softmax(logits.astype(np.float64))
    if kind == 'hard':
        return 0.0 if target == 255 else -np.log(p[int(target)])
    q = target.astype(np.float64)
    gap = np.abs(logits.astype(np.float64) - q)
    terms = {
        'soft': lambda: -q * np.log(p),
        'kl': lambda: np.array([b * np.log(b / a) if b > 0 else 0.0 for a, b in zip(p, q)]),
        'reverse_kl': lambda: p * (np.log(p) - np.log(np.maximum(q, 1e-37))),
        'middle_kl': lambda: (p + q) / 2 * np.log((p + q) / 2 / np.sqrt(p * (q + 1e-5))),
        'squared': lambda: (p - q) ** 2,
        'binary': lambda: -q * np.log(p + 1e-6) - (1 - q) * np.log(1 - p + 1e-6),
        'logit_squared': lambda: gap**2,
        'logit_smooth_l1': lambda: np.where(gap < 1, gap**2 / 2, gap - 0.5),
    }[kind]()
    return terms.sum() / dict(sum=1, mean=len(p), root=len(p) ** 0.5)[reduction]


def distances(
    kind: str, logits: np.ndarray, target: np.ndarray, reduction: str = 'sum'
) -> np.ndarray:
    """``(B, H, W)`` of ``(B, K, H, W)`` logits."""
    batch, _, height, width = logits.shape
    found = np.zeros((batch, height, width))
    for at in np.ndindex(*found.shape):
        b, y, x = at
        goal = target[at] if kind == 'hard' else target[b, :, y, x]
        found[at] = distance(kind, logits[b, :, y, x], goal, reduction)
    return found


def weight(
    confidence: np.ndarray, threshold: float, weighting: str, valid: Optional[np.ndarray] = None
) -> np.ndarray:
    """``(B, H, W)`` weights by image after image."""
    valid = np.ones(confidence.shape, bool) if valid is None else valid
    confident = (confidence >= threshold) & valid
    if weighting == 'threshold':
        return confident.astype(float)
    of_image = [
        confident[b].sum() / max(valid[b].sum(), 1)
        if weighting == 'image_ratio'
        else confidence[b][valid[b]].mean()
        if valid[b].any()
        else 0.0
        for b in range(len(confidence))
    ]
    if weighting == 'mean_confidence':
        of_image = [sum(of_image)] * len(of_image)
    if weighting == 'batch_ratio':
        of_image = [confident.sum() / max(valid.sum(), 1)] * len(of_image)
    return np.array(of_image).reshape(-1, 1, 1) * valid


def hard_examples(
    logits: np.ndarray, label: np.ndarray, threshold: float, min_kept: int, ignore: int = 255
) -> float:
    """Mean cross-entropy of the pixels that online hard example mining keeps."""
    losses = distances('hard', logits, np.where(label == ignore, 255, label))
    labeled = label != ignore
    probability = np.where(labeled, np.exp(-losses), 1.0)
    if 0 < min_kept <= labeled.sum():
        limit = max(threshold, np.sort(probability.ravel())[min_kept - 1])
        labeled = labeled & (probability <= limit)
    return losses[labeled].mean() if labeled.any() else 0.0
