# Copyright (c) mmseg_ctt contributors.
"""The cut against brute force, against another solver, and by its own promises."""

import itertools

import networkx
import numpy as np
import pytest

from mmseg_ctt.label_fusion.alpha_expansion import alpha_expansion, expansion_energy, mask_energy
from mmseg_ctt.label_fusion.energy import Edges, label_energy, margin, neighbour_edges, unary_cost
from mmseg_ctt.label_fusion.min_cut import (
    BinaryEnergy,
    graph_cut,
    minimum_cut,
    scaled,
    symmetric_energy,
)

SIDE = 3


def problem(seed, shape=(SIDE, SIDE), classes=2, neighbours=None):
    rng = np.random.RandomState(seed)
    image = rng.randint(0, 50, shape)
    edges = neighbour_edges(image, len(shape), neighbours)
    return rng.randint(0, 1000, (classes, *shape)) / 1000, edges


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('smoothness', [0, 0.2, 2])
def test_against_brute_force(seed, smoothness):
    """All 2^9 masks of 3x3 pixels."""
    unary, edges = problem(seed, neighbours=8 if seed % 2 else 4)
    energy = symmetric_energy(unary, edges, smoothness)
    masks = np.array(list(itertools.product((0, 1), repeat=SIDE**2)))
    energies = np.array([energy.of(mask) for mask in masks])
    label, lowest = minimum_cut(energy)
    assert energy.of(label) == lowest == energies.min()
    best = masks[energies == energies.min()]
    assert label.sum() == best.sum(axis=1).min(), 'of several minima the one with fewest pixels'
    assert np.array_equal(graph_cut(unary, edges, smoothness).ravel(), label)


def test_integer_energy_is_that_of_the_mask():
    unary, edges = problem(1)
    edges = edges._replace(weight=np.round(edges.weight, 2))
    energy = symmetric_energy(unary, edges, 0.5)
    for mask in np.random.RandomState(0).randint(0, 2, (20, SIDE, SIDE)):
        assert energy.of(mask.ravel()) == pytest.approx(
            1000 * label_energy(mask, unary, edges, 0.5)
        )


@pytest.mark.parametrize('shape', [(9, 11), (4, 5, 6)])
def test_against_networkx(shape):
    unary, edges = problem(3, shape)
    energy = symmetric_energy(unary, edges, 0.4)
    graph = networkx.DiGraph()
    for node, (zero, one) in enumerate(zip(energy.cost0, energy.cost1)):
        graph.add_edge('one', node, capacity=int(zero))
        graph.add_edge(node, 'zero', capacity=int(one))
    for s, t, capacity in zip(*energy[2:]):
        graph.add_edge(int(t), int(s), capacity=int(capacity))
    flow, _ = networkx.minimum_cut(graph, 'one', 'zero')
    label, lowest = minimum_cut(energy)
    assert lowest == flow == energy.of(label)
    assert 0 < label.sum() < label.size


def test_range_of_capacities():
    unary, edges = problem(0)
    for scale in (10**10, 2**31):
        with pytest.raises(ValueError, match='32 bit integers of the cut'):
            graph_cut(unary, edges, 1.0, scale)
    many = BinaryEnergy(
        *np.array([[0] * 3 + [10**9] * 3, [10**9] * 3 + [0] * 3]), *np.zeros((3, 0), int)
    )
    with pytest.raises(ValueError, match='flow up to 3000000000'):  # each arc would fit
        minimum_cut(many)
    with pytest.raises(ValueError, match='negative cost'):
        minimum_cut(BinaryEnergy(*np.zeros((2, 2), int), *np.array([[0], [1], [-1]])))
    assert minimum_cut(BinaryEnergy(*np.zeros((5, 0), int)))[1] == 0


@pytest.mark.parametrize('scale', [0, 1.5, True])
def test_scale(scale):
    with pytest.raises(ValueError, match='must be a positive integer'):
        graph_cut(*problem(0), 1.0, scale)


def test_wrong_costs():
    unary, edges = problem(0, classes=3)
    with pytest.raises(ValueError, match='two classes, got 3'):
        graph_cut(unary, edges)
    for cut in (lambda: graph_cut(unary[:2], edges, -1), lambda: alpha_expansion(unary, edges, -1)):
        with pytest.raises(ValueError, match='smoothness=-1 must not be negative'):
            cut()


# ---- several classes


@pytest.mark.parametrize('seed', range(4))
def test_an_expansion_is_the_best_of_all_moves(seed):
    unary, edges = problem(seed, classes=3)
    costs = scaled(unary.reshape(3, -1), 1000)
    edges = edges._replace(weight=scaled(edges.weight, 300))
    label = np.random.RandomState(seed).randint(0, 3, SIDE**2)
    for alpha in range(3):
        energy = expansion_energy(label, alpha, costs, edges)
        moves = np.array(list(itertools.product((0, 1), repeat=SIDE**2)))
        reached = [mask_energy(np.where(move, alpha, label), costs, edges) for move in moves]
        assert [energy.of(move) for move in moves[::37]] == reached[::37]
        assert minimum_cut(energy)[1] == min(reached)


@pytest.mark.parametrize('shape', [(8, 9), (4, 5, 3)])
def test_energy_never_rises(shape):
    unary, edges = problem(5, shape, classes=4)
    start = np.random.RandomState(1).randint(0, 4, shape)
    for given in (None, start, unary.argmin(axis=0)):
        begin = unary.argmin(axis=0) if given is None else given
        found = alpha_expansion(unary, edges, 0.5, start=given)
        energies = [label_energy(mask, unary, edges, 0.5) for mask in (found, begin)]
        assert energies[0] <= energies[1] + 1e-2
    assert energies[0] < energies[1], 'borders cost something here'


def test_two_classes_are_exact_either_way():
    unary, edges = problem(6, (8, 9))
    masks = graph_cut(unary, edges, 0.5), alpha_expansion(unary, edges, 0.5)
    energy = symmetric_energy(unary, edges, 0.5)
    assert energy.of(masks[0].ravel()) == energy.of(masks[1].ravel())


# ---- energies


def test_edges():
    image = np.array([[0, 0, 4], [0, 4, 4]])
    edges = neighbour_edges(image, 2, sigma=2.0)
    weights = {(int(s), int(t)): w for s, t, w in zip(*edges)}
    assert weights[0, 1] == 1 and weights[1, 2] == pytest.approx(np.exp(-2))
    assert set(weights) == {(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)}
    diagonal = neighbour_edges(image, 2, 8, sigma=2.0)
    weights = {tuple(sorted((int(s), int(t)))): w for s, t, w in zip(*diagonal)}
    assert len(weights) == 11 and weights[2, 4] == pytest.approx(1 / np.sqrt(2))
    assert weights[1, 3] == pytest.approx(1 / np.sqrt(2))


def test_spacing():
    edges = neighbour_edges(np.zeros((2, 2, 2)), 3, spacing=(2.0, 0.5, 1.0))
    assert sorted(set(edges.weight)) == [0.25, 0.5, 1.0]
    along_x = edges.weight[(edges.second - edges.first) == 4]
    assert along_x.tolist() == [0.25] * 4
    with pytest.raises(ValueError, match='must be 3 positive numbers'):
        neighbour_edges(np.zeros((2, 2, 2)), 3, spacing=(1.0, 0.0, 1.0))
    with pytest.raises(ValueError, match='neighbours=4 must be one of'):
        neighbour_edges(np.zeros((2, 2, 2)), 3, 4)


def test_channels_are_averaged():
    image = np.stack([np.array([[0, 2]]), np.array([[0, 0]])], axis=-1)
    assert neighbour_edges(image, 2, sigma=1.0).weight == pytest.approx([np.exp(-1)])


def test_unary_cost_and_margin():
    labels = np.array([[[0, 1]], [[1, 1]], [[2, 1]]])
    weights = np.array([0.5, 0.3, 0.2]).reshape(3, 1, 1) * np.ones((3, 1, 2))
    unary = unary_cost(labels, weights, 3)
    assert np.allclose(unary[:, 0, 0], [0.5, 0.7, 0.8]) and np.allclose(unary[:, 0, 1], [1, 0, 1])
    assert np.allclose(margin(unary), [[0.2, 1]])
    assert np.allclose(margin(unary[:2]), np.abs(unary[0] - unary[1]))


def test_a_heavier_rater_disagrees_less():
    rng = np.random.RandomState(2)
    labels = rng.randint(0, 2, (3, 8, 8))
    edges = neighbour_edges(rng.randint(0, 9, (8, 8)), 2)
    differences = []
    for weight in (0.05, 0.2, 0.4, 0.6, 1.0, 3.0):
        weights = np.array([weight, 0.3, 0.4]).reshape(3, 1, 1) * np.ones((3, 8, 8))
        fused = graph_cut(unary_cost(labels, weights, 2), edges, 0.2)
        differences.append(int((fused != labels[0]).sum()))
    assert differences == sorted(differences, reverse=True) and differences[0] > differences[-1]


def test_no_edges():
    unary, _ = problem(0)
    none = Edges(*np.zeros((2, 0), int), np.zeros(0))
    assert np.array_equal(graph_cut(unary, none), unary[1] < unary[0])
