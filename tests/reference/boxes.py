# Copyright (c) mmseg_ctt contributors.
"""Box masks in NumPy, one image, one box and one try at a time."""

from typing import Sequence, Tuple

import numpy as np


def boxes(
    shape: Tuple[int, int],
    noise: np.ndarray,
    area: Tuple[float, float],
    random_aspect_ratio: bool = True,
    by_area: bool = True,
    within_bounds: bool = True,
    invert: bool = True,
    uniform_corner: bool = True,
) -> np.ndarray:
    """Mask of one image; ``noise`` ``(boxes, 4)``."""
    mask = np.zeros(shape, bool)
    for first, second, *corner in noise:
        first = area[0] + (area[1] - area[0]) * first
        if by_area:
            u = second if random_aspect_ratio else 0.5
            fractions = first**u, first ** (1 - u)
        elif random_aspect_ratio:
            fractions = first, area[0] + (area[1] - area[0]) * second
        else:
            fractions = first, first
        sides = [
            np.round(fraction / np.sqrt(len(noise)) * side)
            for fraction, side in zip(fractions, shape)
        ]
        spans = []
        for side, length, v in zip(shape, sides, corner):
            if not within_bounds:
                centre = np.round(side * v)
                spans.append(slice(int(centre - length / 2), int(centre + length / 2)))
                continue
            start = np.floor(v * (side - length + 1)) if uniform_corner else None
            start = np.round(v * (side - length)) if start is None else start
            spans.append(slice(int(start), int(start + length)))
        mask[spans[0], spans[1]] = ~mask[spans[0], spans[1]]
    return mask if invert else ~mask


def rejection_box(
    shape: Tuple[int, int],
    noise: np.ndarray,
    area: Tuple[float, float],
    ratio: Tuple[float, float],
    prob: float,
) -> np.ndarray:
    """Mask of one image; ``noise``: whether, area, then ratio, left and top of each try."""
    height, width = shape
    mask = np.zeros(shape, bool)
    if noise[0] >= prob:
        return mask
    pixels = (area[0] + (area[1] - area[0]) * noise[1]) * height * width
    for r, left, top in noise[2:].reshape(-1, 3):
        r = ratio[0] + (ratio[1] - ratio[0]) * r
        rows, columns = int(np.sqrt(pixels * r)), int(np.sqrt(pixels / r))
        y, x = int(top * height), int(left * width)
        if y + rows <= height and x + columns <= width:
            break
    else:  # the last try, moved and cut
        rows, columns = min(rows, height), min(columns, width)
        y, x = min(y, height - rows), min(x, width - columns)
    mask[y : y + rows, x : x + columns] = True
    return mask


def paste(tensor: np.ndarray, mask: np.ndarray, partner: Sequence[int]) -> np.ndarray:
    """Pixel of image ``i`` where the mask is set, else of its partner; images ``(B, H, W)``."""
    return np.stack([np.where(m, own, tensor[p]) for m, own, p in zip(mask, tensor, partner)])
