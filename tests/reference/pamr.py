# Copyright (c) mmseg_ctt contributors.
"""Pixel-adaptive mask refinement, pixel by pixel."""

import numpy as np


def pamr(image, maps, dilations, iterations):
    """Maps ``(C, H, W)`` refined by the image ``(3, H, W)``, both NumPy and of one size."""
    channels, height, width = image.shape

    def clipped(row, column):
        return min(max(row, 0), height - 1), min(max(column, 0), width - 1)

    for _ in range(iterations):
        refined = np.zeros_like(maps)
        for row in range(height):
            for column in range(width):
                ring, window = [], []
                for d in dilations:
                    for dy in (-d, 0, d):
                        for dx in (-d, 0, d):
                            pixel = clipped(row + dy, column + dx)
                            window.append(image[(slice(None), *pixel)])
                            if (dy, dx) != (0, 0):
                                ring.append(pixel)
                std = np.std(window, axis=0, ddof=1)
                logits = np.array(
                    [
                        np.mean(
                            -np.abs(image[:, row, column] - image[(slice(None), *pixel)])
                            / (1e-8 + 0.1 * std)
                        )
                        for pixel in ring
                    ]
                )
                weight = np.exp(logits - logits.max())
                weight /= weight.sum()
                refined[:, row, column] = sum(
                    w * maps[(slice(None), *pixel)] for w, pixel in zip(weight, ring)
                )
        maps = refined
    return maps
