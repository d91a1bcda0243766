# Copyright (c) mmseg_ctt contributors.
"""WILSON with loops, in numpy: one image, one class, one pixel after the other."""

import math

import numpy as np


def softmax(values: np.ndarray) -> np.ndarray:
    high = np.exp(values - values.max())
    return high / high.sum()


def sigmoid_loss(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


def pixels(valid: np.ndarray):
    return list(zip(*np.nonzero(valid)))


def pooled_scores(z, eps, focal, gamma, floor, valid):
    """(T,) of one image (T, h, w)."""
    scores = []
    for c in range(len(z)):
        weighted = mass = 0.0
        for y, x in pixels(valid):
            m = softmax(z[:, y, x])[c]
            weighted += m * z[c, y, x]
            mass += m
        score = weighted / (eps + mass)
        mean = mass / len(pixels(valid))
        scores.append(score + focal * (1 - mean) ** gamma * math.log(floor + mean))
    return np.array(scores)


def localisation_loss(z, old, valid):
    terms = [
        sigmoid_loss(z[c, y, x], old[c, y, x]) for c in range(len(old)) for y, x in pixels(valid)
    ]
    return float(np.mean(terms))


def feature_loss(new, old, valid):
    return float(np.mean([(new[:, y, x] - old[:, y, x]) ** 2 for y, x in pixels(valid)]))


def hard_map(mask, top, background, low, drop):
    claimed = np.zeros_like(mask)
    for c in range(len(mask)):
        limit = max(low, (background if c == 0 else top) * mask[c].max())
        claimed[c] = mask[c] > limit
    if drop:
        claimed[:, claimed.sum(0) > 1] = 0
    return claimed


def soft_target(mask, alpha):
    made = np.zeros_like(mask)
    for y, x in np.ndindex(*mask.shape[1:]):
        top = mask[:, y, x].max()
        for c in range(len(mask)):
            made[c, y, x] = alpha * (mask[c, y, x] == top) + (1 - alpha) * mask[c, y, x]
    return made


def segmentation_target(old, soft, blend):
    target = soft.copy()
    target[: len(old)] = old
    if blend is None:
        target[0] = np.minimum(old[0], soft[0])
    else:
        target[0] = (1 - blend) * old[0] + blend * soft[0]
    return target


def balanced_cross_entropy(z, claimed, tags, mass, valid):
    """Of one image; tags without the background."""
    where = pixels(valid)
    counts = [sum(claimed[c, y, x] for y, x in where) for c in range(len(z))]
    if sum(count > 0 for count in counts) != sum(tags) + 1:
        return 0.0
    total = sum(counts)
    loss = 0.0
    for y, x in where:
        for c in range(len(z)):
            if claimed[c, y, x]:
                weight = (total - counts[c]) / (1 + total)
                if mass is not None:
                    soft = sum(mass[c, v, u] for v, u in where)
                    weight = (len(where) - soft) / (1 + len(where))
                loss -= weight * math.log(softmax(z[:, y, x])[c])
    return loss / len(where)


def soft_segmentation_loss(z, target, valid):
    terms = [
        sum(sigmoid_loss(z[c, y, x], target[c, y, x]) for c in range(len(z)))
        for y, x in pixels(valid)
    ]
    return float(np.mean(terms))
