# Copyright (c) mmseg_ctt contributors.
"""Paired bootstrap over images: is the difference between two models larger than their noise?

Percentile interval of Efron and Tibshirani (1993): the images are drawn with replacement, as many
as there are, and both models are scored on the same draw. The score is computed from the summed
pixel counts of the drawn images, as mIoU is, and not as a mean of scores of images. The noise is
that of the choice of images; that of training (another seed gives other weights) is not in it.
"""

from functools import partial
from typing import NamedTuple, Tuple

import numpy as np

DRAWS = 2000
LEVEL = 95  # per cent
LEAST = 6  # images: of fewer, all favour one of two equal models in more than 5 % of the cases


class Interval(NamedTuple):
    """Value and its bootstrap interval, in the unit of the value."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is larger than its noise."""
        return self.low > 0 or self.high < 0


class Difference(NamedTuple):
    """Difference of two models on the same images, in [-1, 1].

    Attributes:
        miou (Interval): Of the mIoU.
        classes (list[Interval]): Of the IoU of each of ``K`` classes; NaN for a class that the
            images do not have.
    """

    miou: Interval
    classes: Tuple[Interval, ...]


def class_iou_of(areas: np.ndarray, labelled_only: bool = False) -> np.ndarray:
    """IoU of every class.

    Args:
        areas (np.ndarray): ``(..., 3, K)`` pixels: hit, true, predicted.
        labelled_only (bool): Whether a class without truth is NaN, also where it is predicted.
            Defaults to False.

    Returns:
        np.ndarray: ``(..., K)`` float64, NaN for a class that neither truth nor prediction has.
    """
    hit, true, predicted = np.moveaxis(np.asarray(areas, np.float64), -2, 0)
    union = true + predicted - hit
    known = (true if labelled_only else union) > 0
    return np.divide(hit, union, out=np.full(hit.shape, np.nan), where=known)


def mean_iou_of(areas: np.ndarray, labelled_only: bool = False) -> np.ndarray:
    """Mean of :func:`class_iou_of` over the classes that have one; ``(...)`` float64."""
    iou = class_iou_of(areas, labelled_only)
    known = ~np.isnan(iou)
    count = known.sum(axis=-1)
    total = np.where(known, iou, 0).sum(axis=-1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
    labelled_only: bool = False,
) -> Difference:
    """How much better the second model is, with 95 % intervals.

    Of less than 6 images the intervals are NaN: they would be too narrow to tell a difference from
    chance.

    Args:
        first (np.ndarray): ``(I, 3, K)`` pixels of each image: hit, true, predicted.
        second (np.ndarray): The same of the other model, on the same images in the same order.
        draws (int): Number of draws of ``I`` images. Defaults to 2000.
        seed (int): Of the draws. Defaults to 0.
        labelled_only (bool): As of :func:`class_iou_of`. Defaults to False.

    Raises:
        ValueError: If the two are not of one shape, or there is no image.
    """
    if first.shape != second.shape or not len(first):
        raise ValueError(
            f'a paired comparison needs the same images, got {first.shape} and {second.shape}'
        )
    number, _, num_classes = first.shape
    random = np.random.default_rng(seed)
    # How often each image is drawn, so that all sums are one matrix product; scipy's `bootstrap`
    # would gather the counts of every drawn image.
    weights = random.multinomial(number, np.full(number, 1 / number), size=draws)
    sums = [
        (weights @ areas.reshape(number, -1)).reshape(draws, 3, num_classes)
        for areas in (first, second)
    ]
    whole = [areas.sum(axis=0) for areas in (first, second)]
    iou_of, miou_of = (partial(f, labelled_only=labelled_only) for f in (class_iou_of, mean_iou_of))
    classes = iou_of(whole[1]) - iou_of(whole[0])
    drawn = iou_of(sums[1]) - iou_of(sums[0])
    if number < LEAST:
        sums, drawn = [areas[:0] for areas in sums], drawn[:0]
    return Difference(
        _interval(
            float(miou_of(whole[1]) - miou_of(whole[0])), miou_of(sums[1]) - miou_of(sums[0])
        ),
        tuple(_interval(float(value), drawn[:, k]) for k, value in enumerate(classes)),
    )


def _interval(value: float, drawn: np.ndarray) -> Interval:
    known = drawn[~np.isnan(drawn)]  # a draw may lack a rare class
    if np.isnan(value) or not len(known):
        return Interval(value, np.nan, np.nan)
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(known, [tail, 100 - tail])
    return Interval(value, float(low), float(high))
