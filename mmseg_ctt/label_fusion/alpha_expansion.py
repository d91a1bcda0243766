# Copyright (c) mmseg_ctt contributors.
"""Alpha expansion for energies of several classes (Boykov, Veksler and Zabih, 2001)."""

from typing import Optional

import numpy as np

from .energy import Edges
from .min_cut import SCALE, BinaryEnergy, check_smoothness, minimum_cut, scaled

SWEEPS = 10  # over all classes, at the most


def alpha_expansion(
    unary: np.ndarray,
    edges: Edges,
    smoothness: float = 0.3,
    scale: int = SCALE,
    start: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Mask of several classes whose energy no expansion of one class lowers.

    In a move to class ``a`` each pixel keeps its class or takes ``a``; the best move is one exact
    cut. The energy never rises. The result is within a factor of 2 of the minimum, which for more
    than two classes is hard to find.

    Args:
        unary (np.ndarray): ``(K, ...)`` costs, in about [0, 1].
        edges (Edges): See :func:`.energy.neighbour_edges`.
        smoothness (float): Factor of the borders, not negative. Defaults to 0.3.
        scale (int): Steps of a cost of 1. Defaults to 1000.
        start (np.ndarray, optional): Mask to begin with. Defaults to None: the class of lowest
            cost of each pixel.

    Returns:
        np.ndarray: uint8 mask.

    Raises:
        ValueError: If the smoothness is negative or costs do not fit into 32 bit.
    """
    check_smoothness(smoothness)
    costs = scaled(unary.reshape(len(unary), -1), scale)
    edges = edges._replace(weight=scaled(smoothness * edges.weight, scale))
    first = unary.reshape(len(unary), -1).argmin(axis=0) if start is None else start.reshape(-1)
    label = first.astype(np.int64)
    lowest = mask_energy(label, costs, edges)
    for _ in range(SWEEPS):
        before = lowest
        for alpha in range(len(costs)):
            move, energy = minimum_cut(expansion_energy(label, alpha, costs, edges))
            if energy < lowest:
                label = np.where(move == 1, alpha, label)
                lowest = energy
        if lowest == before:
            break
    return label.astype(np.uint8).reshape(unary.shape[1:])


def mask_energy(label: np.ndarray, costs: np.ndarray, edges: Edges) -> int:
    """Integer energy of a mask ``(N,)``; costs ``(K, N)`` and edges are scaled."""
    border = label[edges.first] != label[edges.second]
    return int(np.take_along_axis(costs, label[None], axis=0).sum() + edges.weight[border].sum())


def expansion_energy(
    label: np.ndarray, alpha: int, costs: np.ndarray, edges: Edges
) -> BinaryEnergy:
    """Energy of a move to a class: 0 keeps the class of a pixel, 1 takes ``alpha``.

    The cost of a pair is ``A, B, C, 0`` for ``(keep, keep)``, ``(keep, take)``, ``(take, keep)``
    and ``(take, take)``. It is written as costs of single pixels and one arc of ``B + C - A``,
    which is not negative (Kolmogorov and Zabih, 2004).
    """
    s, t, weight = edges
    both = weight * (label[s] != label[t])
    second_takes = weight * (label[s] != alpha)
    first_takes = weight * (label[t] != alpha)
    cost0 = np.take_along_axis(costs, label[None], axis=0)[0]
    cost1 = costs[alpha].copy()
    constant_first = np.bincount(s, both, len(label)).astype(np.int64)
    cost0 = cost0 + constant_first
    cost1 += np.bincount(s, first_takes, len(label)).astype(np.int64)
    cost1 -= np.bincount(t, first_takes, len(label)).astype(np.int64)
    return BinaryEnergy(cost0, cost1, s, t, second_takes + first_takes - both)
