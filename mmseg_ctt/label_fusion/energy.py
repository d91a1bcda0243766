# Copyright (c) mmseg_ctt contributors.
"""Energy of a consensus mask: cost of contradicting raters, and of borders between like pixels.

``E(L) = sum_s D_s(L_s) + smoothness * sum_(s,t) V_st [L_s != L_t]`` (second-order Markov random
field, arXiv 1612.02166, abstract). The two terms are a reconstruction.
"""

from typing import NamedTuple, Optional, Sequence

import numpy as np

from .completion import channels_at, likeness
from .features import image_channels
from .grid import neighbour_pairs


class Edges(NamedTuple):
    """Pairs of neighbours with the cost of a border between them.

    Attributes:
        first (np.ndarray): int64 ``(M,)``, flat index of a pixel.
        second (np.ndarray): int64 ``(M,)``, of its neighbour.
        weight (np.ndarray): float64 ``(M,)``, not negative.
    """

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray


def unary_cost(labels: np.ndarray, weights: np.ndarray, num_classes: int) -> np.ndarray:
    """Cost of each class at each pixel: weights of the raters who gave another.

    ``D_s(l) = sum_r w_rs [L_rs != l]``.

    Args:
        labels (np.ndarray): ``(R, ...)``, completed annotations.
        weights (np.ndarray): ``(R, ...)``, see :func:`.weights.rater_weights`.
        num_classes (int): Number of classes, K.

    Returns:
        np.ndarray: ``(K, ...)`` float64.
    """
    weights = weights.astype(np.float64)
    return np.stack(
        [
            np.where(labels != k, weights, 0).sum(axis=0, dtype=np.float64)
            for k in range(num_classes)
        ]
    )


def neighbour_edges(
    image: np.ndarray,
    ndim: int,
    neighbours: Optional[int] = None,
    sigma: Optional[float] = None,
    spacing: Optional[Sequence[float]] = None,
) -> Edges:
    """Cost of a border: ``V_st = exp(-(I_s - I_t)^2 / (2 sigma^2)) / distance(s, t)``.

    Args:
        image (np.ndarray): ``(H, W)`` or ``(X, Y, Z)``, or with channels behind, whose squared
            differences are averaged.
        ndim (int): 2 for an image, 3 for a volume.
        neighbours (int, optional): 4 or 8 in an image, 6 in a volume. Defaults to None: 4 or 6.
        sigma (float, optional): Defaults to None: the standard deviation of the image.
        spacing (Sequence[float], optional): Of the pixels along each axis; distances are in units
            of the smallest one. Defaults to None: 1.

    Raises:
        ValueError: For another number of dimensions or neighbours, or a wrong spacing.
    """
    stack = np.stack(image_channels(image, ndim))
    index = np.arange(stack[0].size).reshape(stack.shape[1:])
    firsts, seconds, weights = [], [], []
    for first, second, distance in neighbour_pairs(index.shape, neighbours, spacing):
        values = channels_at(stack, first), channels_at(stack, second)
        firsts.append(index[first].ravel())
        seconds.append(index[second].ravel())
        weights.append((likeness(values[0], values[1], stack, sigma) / distance).ravel())
    return Edges(*map(np.concatenate, (firsts, seconds, weights)))


def label_energy(
    label: np.ndarray, unary: np.ndarray, edges: Edges, smoothness: float = 1.0
) -> float:
    """Energy of a mask.

    Args:
        label (np.ndarray): Class of each pixel.
        unary (np.ndarray): ``(K, ...)``, see :func:`unary_cost`.
        edges (Edges): See :func:`neighbour_edges`.
        smoothness (float): Factor of the second term. Defaults to 1.
    """
    flat = label.reshape(-1).astype(np.int64)
    own = np.take_along_axis(unary.reshape(len(unary), -1), flat[None], axis=0).sum()
    border = flat[edges.first] != flat[edges.second]
    return float(own + smoothness * edges.weight[border].sum())


def margin(unary: np.ndarray) -> np.ndarray:
    """How clearly the raters prefer one class: difference of the two lowest costs.

    For two classes ``|D(0) - D(1)|``.

    Args:
        unary (np.ndarray): ``(K, ...)``, see :func:`unary_cost`; weights that sum to 1.

    Returns:
        np.ndarray: float32 in [0, 1]: 1 where all raters agree, 0 at a tie.
    """
    lowest = np.partition(unary, 1, axis=0)[:2]
    return np.clip(lowest[1] - lowest[0], 0, 1).astype(np.float32)
