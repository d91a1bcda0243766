# Copyright (c) mmseg_ctt contributors.
"""Class-wise connected graph, its triplets, and retrieval, against loops."""

import importlib

import numpy as np
import pytest
import torch
from no_sync import record
from reference import patch_matching as reference
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mmseg_ctt.functional import class_graph, graph_triplets, retrieval_accuracy, triplet_loss

retrieval = importlib.import_module('mmseg_ctt.functional.retrieval')


def draws(n, classes, seed=0):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, classes, (n,), generator=g)
    return label, torch.rand(n, generator=g), torch.rand(n, 2, generator=g)


@pytest.mark.parametrize('n,classes', [(40, 4), (40, 30), (7, 2), (5, 1), (1, 1)])
@pytest.mark.parametrize('seed', range(3))
def test_links_equal_loops(n, classes, seed):
    label, key, choice = draws(n, classes, seed)
    graph = class_graph(label, key, choice)
    want = reference.class_graph(
        label.numpy(), key.argsort().tolist(), reference.by_uniform(choice.numpy())
    )
    assert np.array_equal(torch.stack([graph.positive, graph.negative], 1).numpy(), want)


def test_every_class_is_connected():
    label, key, choice = draws(120, 6)
    graph = class_graph(label, key, choice)
    n = len(label)
    links = coo_matrix((np.ones(n), (np.arange(n), graph.positive.numpy())), (n, n))
    components, number = connected_components(links, directed=False)
    assert components == len(label.unique())
    for kind in label.unique():
        assert len(set(number[(label == kind).numpy()])) == 1
    assert (label[graph.negative] != label).all() and (label[graph.positive] == label).all()


def test_every_candidate_is_drawn_equally_often():
    label = torch.tensor([0, 0, 0, 1]).repeat(1000, 1)
    g = torch.Generator().manual_seed(0)
    drawn = [
        class_graph(row, torch.arange(4), torch.rand(4, 2, generator=g)).positive[2]
        for row in label
    ]
    ratio = torch.stack(drawn).float().mean().item()
    assert ratio == pytest.approx(0.5, abs=0.05)


def test_a_number_just_below_one_and_equal_keys():
    label = torch.zeros(300, dtype=torch.long)
    graph = class_graph(label, torch.zeros(300), torch.full((300, 2), 1 - 2**-24))
    node = torch.arange(300)
    assert torch.equal(graph.positive[1:], node[:-1])  # the last of the earlier ones
    assert graph.positive[0] == 299  # none is earlier: the last of all


def test_nodes_without_a_class_have_no_part():
    label, key, choice = draws(30, 4)
    label[::3] = 255
    graph = class_graph(label, key, choice)
    absent = label == 255
    for links in (graph.positive, graph.negative):
        assert (links[absent] == -1).all() and not absent[links[~absent]].any()
    known = torch.arange(30)[~absent]
    alone = class_graph(label[known], key[known], choice[known])
    assert torch.equal(graph.positive[known], known[alone.positive])
    assert torch.equal(graph.negative[known], known[alone.negative])


@pytest.mark.parametrize(
    'label,singletons,without',
    [([0, 0, 1], 1, 0), ([2, 2, 2], 0, 3), ([3], 1, 1), ([255, 255], 0, 0), ([0, 255, 0], 0, 2)],
)
def test_counts(label, singletons, without):
    label = torch.tensor(label)
    graph = class_graph(label, torch.arange(len(label)), torch.zeros(len(label), 2))
    assert graph.singletons.item() == singletons and graph.without_negative.item() == without


@pytest.mark.parametrize('label', [[2, 2, 2], [3], [255, 255]])
def test_fewer_than_two_classes_give_zero(label):
    label = torch.tensor(label)
    graph = class_graph(label, torch.arange(len(label)), torch.zeros(len(label), 2))
    feature = torch.rand(len(label), 5, requires_grad=True)
    loss, near, far = triplet_loss(*graph_triplets(feature, graph), valid=graph.negative >= 0)
    loss.backward()
    assert loss.item() == near.item() == far.item() == 0
    assert torch.equal(feature.grad, torch.zeros_like(feature))


@pytest.mark.parametrize('margin', [0.3, 2.1])
def test_loss_equals_loops(margin):
    label, key, choice = draws(25, 5)
    g = torch.Generator().manual_seed(1)
    feature = torch.randn(25, 6, generator=g, dtype=torch.float64)
    feature = torch.nn.functional.normalize(feature).requires_grad_()
    graph = class_graph(label, key, choice)
    loss, near, far = triplet_loss(*graph_triplets(feature, graph), margin=margin)
    loss.backward()
    links = torch.stack([graph.positive, graph.negative], 1).numpy()
    want, hinge, gradient = reference.triplet_loss(feature.detach().numpy(), links, margin)
    assert loss.item() == pytest.approx(want)
    torch.testing.assert_close(feature.grad, torch.from_numpy(gradient))
    assert (hinge == 0).any()  # signed vectors can satisfy either margin
    assert near.item() > 0 and far.item() > 0 and not near.requires_grad


def test_vectors_without_negative_values_never_satisfy_the_published_margin():
    g = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(3, 500, 4, generator=g), dim=2)
    signed = triplet_loss(*rows)
    positive = triplet_loss(*rows.abs())
    for (loss, near, far), linear in ((signed, False), (positive, True)):
        assert torch.isclose(2 * loss, 2.1 + near - far, atol=1e-5).item() == linear


def test_gradient():
    label, key, choice = draws(8, 3)
    graph = class_graph(label, key, choice)
    feature = torch.rand(8, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: triplet_loss(*graph_triplets(x, graph))[0], feature)


@pytest.mark.parametrize('chunk', [1024, 7])
@pytest.mark.parametrize('groups', [None, 4])
@pytest.mark.parametrize('classes', [3, 12])
def test_retrieval_equals_loops(groups, classes, chunk, monkeypatch):
    monkeypatch.setattr(retrieval, 'CHUNK', chunk)
    label, _, _ = draws(40, classes, seed=2)
    label[::7] = 255
    feature = torch.randn(40, 3, generator=torch.Generator().manual_seed(3))
    group = None if groups is None else torch.arange(40) % groups
    accuracy, count = retrieval_accuracy(feature, label, group)
    want = reference.retrieval(
        feature.double().numpy(), label.numpy(), None if group is None else group.numpy()
    )
    assert (accuracy.item(), count.item()) == (pytest.approx(want[0]), want[1])
    assert 0 < want[0] < 1


def test_retrieval_of_nothing():
    feature = torch.rand(4, 2)
    same_group = torch.zeros(4, dtype=torch.long)
    for label, group in (([0, 1, 2, 3], None), ([0, 0, 0, 0], same_group), ([255] * 4, None)):
        accuracy, count = retrieval_accuracy(feature, torch.tensor(label), group)
        assert accuracy.item() == 0 and count.item() == 0


def test_retrieval_is_perfect_between_clusters():
    label = torch.arange(3).repeat(5)
    feature = torch.eye(3)[label] + 0.01 * torch.rand(15, 3)
    assert [value.item() for value in retrieval_accuracy(feature, label)] == [1, 15]


def test_no_host_synchronisation():
    label, key, choice = draws(20, 4)
    feature = torch.rand(20, 4, requires_grad=True)

    def call():
        graph = class_graph(label, key, choice)
        rows = graph_triplets(feature, graph)
        triplet_loss(*rows, valid=graph.negative >= 0)[0].backward()
        retrieval_accuracy(feature, label, label)

    assert record(call) == []
