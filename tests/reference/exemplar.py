# Copyright (c) mmseg_ctt contributors.
"""Triplets, crops and noise of colours in NumPy, one anchor, one box, one pixel at a time."""

import colorsys
from typing import Optional, Sequence, Tuple

import numpy as np


def batch_hard(
    embedding: np.ndarray, ids: Sequence[int], margin: Optional[float] = None
) -> Tuple[float, float, int]:
    """Loss, accuracy and number of anchors."""
    losses, hits = [], []
    for i, anchor in enumerate(embedding):
        gaps = [max(np.sqrt(((anchor - other) ** 2).sum()), 1e-6) for other in embedding]
        others = [j for j in range(len(embedding)) if j != i]
        positives = [gaps[j] for j in others if ids[j] == ids[i]]
        negatives = [gaps[j] for j in others if ids[j] != ids[i]]
        if positives and negatives:
            gap = max(positives) - min(negatives)
            losses.append(np.log1p(np.exp(gap)) if margin is None else max(0.0, margin + gap))
            hits.append(min(positives) < min(negatives))
    return (np.mean(losses), np.mean(hits), len(losses)) if losses else (0.0, 0.0, 0)


def box(
    noise: Sequence[float],
    size: Tuple[float, float],
    area: Tuple[float, float],
    aspect: Tuple[float, float],
) -> Tuple[float, float, float, float]:
    """Top, left, height and width of one crop."""
    height, width = size
    ratio = aspect[0] + (aspect[1] - aspect[0]) * noise[0]
    largest = min(np.sqrt(area[1] * height * width / ratio), height, width / ratio)
    smallest = min(np.sqrt(area[0] * height * width / ratio), largest)
    rows = smallest + (largest - smallest) * noise[1]
    columns = rows * ratio
    return noise[2] * (height - rows), noise[3] * (width - columns), rows, columns


def resized(
    image: np.ndarray, found: Sequence[float], size: Tuple[int, int], flip: bool = False
) -> np.ndarray:
    """A crop of ``(C, H, W)``, resized bilinearly to ``(C, h, w)``."""
    out = np.zeros((len(image), *size))
    for y in range(size[0]):
        for x in range(size[1]):
            column = size[1] - 1 - x if flip else x
            at = [
                np.clip(start + (i + 0.5) * length / side, start + 0.5, start + length - 0.5) - 0.5
                for i, start, length, side in zip((y, column), found[:2], found[2:], size)
            ]
            low = [int(np.floor(value)) for value in at]
            high = [min(value + 1, side - 1) for value, side in zip(low, image.shape[1:])]
            v, u = at[0] - low[0], at[1] - low[1]
            out[:, y, x] = (1 - v) * (
                (1 - u) * image[:, low[0], low[1]] + u * image[:, low[0], high[1]]
            ) + v * ((1 - u) * image[:, high[0], low[1]] + u * image[:, high[0], high[1]])
    return out


def hsv_noise(image: np.ndarray, noise: Sequence[float]) -> np.ndarray:
    """Of one ``(3, H, W)`` image, with the ranges of the released code."""
    draws = 2 * np.asarray(noise, np.float64) - 1
    out = np.zeros(image.shape)
    for y, x in np.ndindex(*image.shape[1:]):
        hue, *both = colorsys.rgb_to_hsv(*image[:, y, x].astype(np.float64))
        both = [
            min(max(part ** (2 ** (2 * draws[1 + i])) * 2 ** (draws[3 + i] / 2) + d, 0), 1)
            for i, (part, d) in enumerate(zip(both, 0.1 * draws[5:]))
        ]
        out[:, y, x] = colorsys.hsv_to_rgb((hue + 0.1 * draws[0]) % 1, *both)
    return out
