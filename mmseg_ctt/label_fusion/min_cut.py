# Copyright (c) mmseg_ctt contributors.
"""Exact minimum cut of binary energies by the maximum flow of SciPy.

SciPy's flow has capacities of 32 bit integers. Costs are scaled and rounded, and the mask is the
exact minimum of the rounded energy.
"""

from typing import NamedTuple, Tuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from .energy import Edges

LARGEST = np.iinfo(np.int32).max
SCALE = 1000  # steps of a cost of 1


class BinaryEnergy(NamedTuple):
    """Integer energy ``sum_s U_s(x_s) + sum_(s,t) C_st [x_s = 0, x_t = 1]``.

    Attributes:
        cost0 (np.ndarray): int64 ``(N,)``, cost of label 0.
        cost1 (np.ndarray): int64 ``(N,)``, cost of label 1.
        first (np.ndarray): int64 ``(M,)``, s of each arc.
        second (np.ndarray): int64 ``(M,)``, t of each arc.
        capacity (np.ndarray): int64 ``(M,)``, not negative. No pair ``(s, t)`` twice.
    """

    cost0: np.ndarray
    cost1: np.ndarray
    first: np.ndarray
    second: np.ndarray
    capacity: np.ndarray

    def of(self, label: np.ndarray) -> int:
        """Energy of a labelling ``(N,)`` of 0 and 1."""
        label = label.astype(bool)
        cut = ~label[self.first] & label[self.second]
        return int(np.where(label, self.cost1, self.cost0).sum() + self.capacity[cut].sum())


def scaled(costs: np.ndarray, scale: int) -> np.ndarray:
    """Costs as integers.

    Raises:
        ValueError: For a scale that is no positive integer.
    """
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise ValueError(f'scale={scale!r} must be a positive integer')
    return np.rint(costs * scale).astype(np.int64)


def graph_cut(
    unary: np.ndarray, edges: Edges, smoothness: float = 0.3, scale: int = SCALE
) -> np.ndarray:
    """Binary mask of lowest energy, see :mod:`.energy`.

    Args:
        unary (np.ndarray): ``(2, ...)`` costs, in about [0, 1].
        edges (Edges): See :func:`.energy.neighbour_edges`.
        smoothness (float): Factor of the borders, not negative. Defaults to 0.3.
        scale (int): Steps of a cost of 1. Defaults to 1000.

    Returns:
        np.ndarray: uint8 of 0 and 1. Of several minima the one with fewest pixels of class 1.

    Raises:
        ValueError: If there are not two classes, the smoothness is negative, or costs do not fit
            into 32 bit.
    """
    if len(unary) != 2:
        raise ValueError(f'a cut has two classes, got {len(unary)}: use alpha_expansion')
    label, _ = minimum_cut(symmetric_energy(unary, edges, smoothness, scale))
    return label.reshape(unary.shape[1:])


def symmetric_energy(
    unary: np.ndarray, edges: Edges, smoothness: float, scale: int = SCALE
) -> BinaryEnergy:
    """Integer form of the energy of :func:`.energy.label_energy` for two classes."""
    check_smoothness(smoothness)
    cost0, cost1 = scaled(unary.reshape(2, -1), scale)
    weight = scaled(smoothness * edges.weight, scale)
    arcs = [np.concatenate(pair) for pair in (edges[:2], edges[1::-1], (weight, weight))]
    return BinaryEnergy(cost0, cost1, *arcs)


def check_smoothness(smoothness: float) -> None:
    """Raise where borders would have a negative cost, for which a cut is not the minimum."""
    if not smoothness >= 0:
        raise ValueError(f'smoothness={smoothness} must not be negative')


def minimum_cut(energy: BinaryEnergy) -> Tuple[np.ndarray, int]:
    """Labelling of lowest energy.

    The pixels on the side of the source have label 1.

    Args:
        energy (BinaryEnergy): With capacities that are not negative.

    Returns:
        tuple[np.ndarray, int]: uint8 ``(N,)`` and its energy. Of several minima the one with fewest
        pixels of label 1.

    Raises:
        ValueError: If a capacity is negative or the costs do not fit into 32 bit.
    """
    number = len(energy.cost0)
    if not number:
        return np.zeros(0, np.uint8), 0
    graph = _graph(energy)
    result = maximum_flow(graph, number, number + 1)
    flow = result.flow if hasattr(result, 'flow') else result.residual  # SciPy before 1.9
    residual = (graph - flow).tocsr()
    residual.eliminate_zeros()
    reached = breadth_first_order(residual, number, return_predecessors=False)
    label = np.zeros(number + 2, np.uint8)
    label[reached] = 1
    lowest = np.minimum(energy.cost0, energy.cost1).sum()
    return label[:number], int(result.flow_value) + int(lowest)


def _graph(energy: BinaryEnergy) -> csr_matrix:
    """Capacities of all arcs; source and sink are the last two nodes."""
    number = len(energy.cost0)
    excess = energy.cost0 - energy.cost1  # positive: label 1 is cheaper
    _check_range(energy, excess)
    to_label1, to_label0 = np.flatnonzero(excess > 0), np.flatnonzero(excess < 0)
    # an arc (s, t) is cut where its tail is on the side of the source, label 1
    tails = [energy.second, np.full(len(to_label1), number), to_label0]
    heads = [energy.first, to_label1, np.full(len(to_label0), number + 1)]
    capacities = [energy.capacity, excess[to_label1], -excess[to_label0]]
    data = np.concatenate(capacities).astype(np.int32)
    positions = np.concatenate(tails), np.concatenate(heads)
    graph = csr_matrix((data, positions), shape=(number + 2, number + 2), dtype=np.int32)
    graph.eliminate_zeros()
    return graph


def _check_range(energy: BinaryEnergy, excess: np.ndarray) -> None:
    if (energy.capacity < 0).any():
        raise ValueError('a border has a negative cost: no cut is the minimum of such an energy')
    flow = min(int(excess[excess > 0].sum()), int(-excess[excess < 0].sum()))
    arc = max(int(np.abs(excess).max()), int(energy.capacity.max(initial=0)))
    check_fits(len(excess), len(energy.capacity), arc, flow)


def check_fits(pixels: int, arcs: int, largest: int, flow: int) -> None:
    """A cut fits into 32 bit integers.

    Args:
        pixels (int): Their number.
        arcs (int): Number of arcs between them.
        largest (int): Capacity of an arc.
        flow (int): Sum of the capacities from source or to sink.

    Raises:
        ValueError: If it does not.
    """
    if max(flow, largest, 2 * (arcs + pixels)) > LARGEST:
        raise ValueError(
            f'the costs of {pixels} pixels do not fit into the 32 bit integers of the cut '
            f'(largest arc {largest}, flow up to {flow}): lower scale, or crop to the structure'
        )
