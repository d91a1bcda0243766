# Copyright (c) mmseg_ctt contributors.
"""Rules that make a label of class maps and saliency, one pixel at a time."""

import numpy as np


def highest(values):
    """Class id of the highest map of a pixel, by id, and its value; the lowest id of equal ones."""
    best = max(values.values(), default=0)
    return next((k for k in values if values[k] == best), 0), best


def threshold(values, background=0.3):
    label, best = highest(values)
    return label if best > background else 0


def auxsegnet(values, saliency, object_level=0.2, salient_level=0.06):
    label, best = highest(values)
    is_object, is_salient = best > object_level, saliency > salient_level
    if is_object and is_salient:
        return label
    return 255 if is_object or is_salient else 0


def group_wsss_pixel(
    values, saliency, conflict_level=0.9, certain_level=0.8, salient_level=32 / 255
):
    scores = {0: np.float32(1) - saliency, **values}
    label, _ = highest(scores)
    if sum(score > conflict_level for score in scores.values()) > 1:
        return 255
    certain = any(value > certain_level for value in values.values())
    if label == 0 and (saliency >= salient_level or certain):
        return 255
    return label


def of_image(pixel, maps, classes, saliency=None, **settings):
    """Label of a whole image by a function of a pixel."""
    label = np.zeros(maps.shape[1:], np.uint8)
    for at in np.ndindex(*label.shape):
        values = {k: maps[(i, *at)] for i, k in enumerate(classes)}
        extra = () if saliency is None else (saliency[at],)
        label[at] = pixel(values, *extra, **settings)
    return label


def group_wsss(maps, classes, saliency, min_foreground=0.01, min_max=True, **settings):
    if min_max:
        maps = np.stack([(m - m.min()) / (m.max() - m.min() + 1e-8) for m in maps])
    label = of_image(group_wsss_pixel, maps, classes, saliency, **settings)
    foreground = sum(0 < value < 255 for value in label.ravel().tolist())
    return np.full_like(label, 255) if foreground < min_foreground * label.size else label
