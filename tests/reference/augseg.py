# Copyright (c) mmseg_ctt contributors.
"""AugSeg, pixel by pixel: confidence of an image, and which image a pixel is from."""

import math

from torch import Tensor


def image_confidence(logits: Tensor, valid: Tensor) -> list:
    """Of ``(B, K, H, W)``."""
    result = []
    for image, inside in zip(logits.double(), valid):
        values = []
        for y in range(image.shape[1]):
            for x in range(image.shape[2]):
                p = image[:, y, x].softmax(0).tolist()
                entropy = -sum(value * math.log(value) for value in p)
                if inside[y, x]:
                    values.append((1 - entropy / math.log(len(p))) * max(p))
        result.append(sum(values) / max(len(values), 1))
    return result


def source(partner, labeled, injected, labeled_box, unlabeled_box, visible, i, y, x) -> int:
    """Of pixel ``(y, x)`` of image ``i``; labelled images are counted after the unlabelled."""

    def label(j):
        return len(partner) + labeled[j] if injected[j] and labeled_box[j][y][x] else None

    if visible and label(i) is not None:
        return label(i)
    if not unlabeled_box[i][y][x]:
        return i
    below = None if visible else label(partner[i])
    return partner[i] if below is None else below


def centred_box(size, fraction: float, centre) -> list:
    """Pixels of a box."""
    found = []
    for y in range(size[0]):
        for x in range(size[1]):
            half = [int(side * fraction) // 2 for side in size]
            if all(c - h <= at < c + h for at, c, h in zip((y, x), centre, half)):
                found.append((y, x))
    return found
