# Copyright (c) mmseg_ctt contributors.
"""Perturbations in NumPy, one channel at a time; adversarial directions of a linear network."""

from typing import Sequence

import numpy as np

from .distances import softmax


def channel_dropout(feature: np.ndarray, p: float, noise: np.ndarray) -> np.ndarray:
    """Every channel of every image on its own."""
    out = np.zeros_like(feature)
    for b, c in np.ndindex(*noise.shape):
        if noise[b, c] >= p:
            out[b, c] = feature[b, c] / (1 - p)
    return out


def complementary(feature: np.ndarray, noise: np.ndarray, whole: Sequence[int]) -> np.ndarray:
    """Two views; images whose number is in ``whole`` stay as they are."""
    out = feature.copy()
    batch = len(noise)
    for b, c in np.ndindex(*noise.shape):
        if b not in whole:
            first = noise[b, c] < 0.5
            out[b, c] = feature[b, c] * (2 if first else 0)
            out[batch + b, c] = feature[batch + b, c] * (0 if first else 2)
    return out


def direction(
    weight: np.ndarray, image: np.ndarray, target: np.ndarray, d: np.ndarray, xi: float, kind: str
) -> np.ndarray:
    """A power iteration for one image ``(C, H, W)`` and pixel-wise logits ``weight @ pixel``."""
    d = d / np.sqrt((d**2).sum())
    gradient = np.zeros_like(d)
    for y, x in np.ndindex(*image.shape[1:]):
        p = softmax(weight @ (image[:, y, x] + xi * d[:, y, x]))
        gap = p - target[:, y, x]
        if kind == 'squared':
            slope = 2 * (np.diag(p) - np.outer(p, p)) @ gap
        else:
            slope = gap
        gradient[:, y, x] = weight.T @ slope
    return gradient / np.sqrt((gradient**2).sum())


def radius(image: np.ndarray, scale: float) -> float:
    """Half the length of all central differences of one image ``(C, H, W)``."""
    total = 0.0
    channels, height, width = image.shape
    for c, y, x in np.ndindex(channels, height, width):
        if 0 < y < height - 1:
            total += (image[c, y + 1, x] - image[c, y - 1, x]) ** 2
        if 0 < x < width - 1:
            total += (image[c, y, x + 1] - image[c, y, x - 1]) ** 2
    return 0.5 * scale * np.sqrt(total)
