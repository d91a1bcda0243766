# Copyright (c) mmseg_ctt contributors.
"""Simulated raters: masks that differ from a true mask in a known way.

A rater draws the border where the signed distance to the true border, plus a random field, is 0.
The field has a mean (a bias), a standard deviation and a correlation length, all in pixels. A
consistent rater has a small or a smooth field, a noisy one a large and rough field.
"""

from typing import NamedTuple, Sequence

import numpy as np
from scipy import ndimage

from ...label_fusion.votes import MISSING


class RaterModel(NamedTuple):
    """How a simulated rater errs; all in pixels.

    Attributes:
        deviation (float): Standard deviation of the border.
        length (float): Standard deviation of the Gaussian that smooths the field.
        bias (float): How far outside the true border the rater draws; negative: inside.
    """

    deviation: float
    length: float
    bias: float = 0.0


GOOD = RaterModel(1.2, 4.0)
NOISY = RaterModel(10.0, 1.0)
BIASED = RaterModel(1.0, 6.0, 1.0)
PANELS = {
    '2 good, 3 noisy': (GOOD, GOOD, NOISY, NOISY, NOISY),
    '2 good, 3 smooth but biased': (GOOD, GOOD, BIASED, BIASED, BIASED),
}


def simulated_rater(
    truth: np.ndarray, model: RaterModel, random: np.random.RandomState
) -> np.ndarray:
    """Mask of a simulated rater.

    Args:
        truth (np.ndarray): ``(H, W)`` binary mask with pixels of both classes.
        model (RaterModel): How the rater errs.
        random (np.random.RandomState): Source of random numbers.

    Returns:
        np.ndarray: uint8 ``(H, W)``.
    """
    inside = truth.astype(bool)
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    field = ndimage.gaussian_filter(random.normal(size=truth.shape), model.length)
    field *= model.deviation / field.std()
    return (distance + field + model.bias > 0).astype(np.uint8)


def simulated_panel(
    truth: np.ndarray, models: Sequence[RaterModel], seed: int, hidden: float = 0.3, block: int = 8
) -> np.ndarray:
    """Masks of several raters, the last of whom lacks blocks.

    Args:
        truth (np.ndarray): ``(H, W)`` binary mask with pixels of both classes.
        models (Sequence[RaterModel]): One a rater.
        seed (int): Of the raters and the blocks.
        hidden (float): Part of the blocks that the last rater did not annotate. Defaults to 0.3.
        block (int): Side of a block in pixels. Defaults to 8.

    Returns:
        np.ndarray: uint8 ``(R, H, W)``, 255 in the blocks.
    """
    random = np.random.RandomState(seed)
    labels = np.stack([simulated_rater(truth, model, random) for model in models])
    labels[-1][hidden_blocks(truth.shape, hidden, block, random)] = MISSING
    return labels


def hidden_blocks(
    shape: Sequence[int], part: float, block: int, random: np.random.RandomState
) -> np.ndarray:
    """Random square blocks that cover a part of an image.

    Args:
        shape (Sequence[int]): ``(H, W)``.
        part (float): Part of the blocks, rounded to whole blocks.
        block (int): Side in pixels; blocks at the border are smaller.
        random (np.random.RandomState): Source of random numbers.

    Returns:
        np.ndarray: bool ``(H, W)``, True in the blocks.
    """
    rows, columns = (-(-size // block) for size in shape)
    chosen = np.zeros(rows * columns, bool)
    number = int(round(part * chosen.size))
    chosen[random.choice(chosen.size, number, replace=False)] = True
    grid = chosen.reshape(rows, columns).repeat(block, axis=0).repeat(block, axis=1)
    return grid[: shape[0], : shape[1]]
