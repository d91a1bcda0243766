# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of mix-and-match tuning gives (``oracles/mm_tuning``)."""

import numpy as np
import pytest
import torch
from reference import patch_matching as reference
from released_code import close, every_case

from mmseg_ctt import functional
from mmseg_ctt.functional.class_graph import ClassGraph

FILE = 'mm_tuning', 'GraphToTripletLayer'


def stored_graph(data):
    links = data.triplet_idx
    count = torch.zeros((), dtype=torch.int64)
    return ClassGraph(links[:, 1], links[:, 2], count, count)


@every_case(*FILE)
def test_the_restatement_replays_the_random_stream(case, record_property):
    """Permutation and choices of the released layer, so that the restatement stands for it."""
    data = case.load()
    stream = np.random.RandomState(data.numpy_seed)
    label, order = data.labels.numpy(), stream.permutation(len(data.labels))
    assert np.array_equal(order, data.order.numpy())
    links = reference.class_graph(label, order, lambda node, kind, found: stream.choice(found))
    assert np.array_equal(links, data.triplet_idx[:, 1:].numpy())
    assert np.array_equal(data.triplet_idx[:, 0].numpy(), np.arange(len(label)))
    loss, hinge, gradient = reference.triplet_loss(
        data.features.double().numpy(), links, data.margin
    )
    record_property('loss', close(loss, data.loss, 1e-12))
    record_property('hinge', close(hinge, data.hinge, 1e-12))
    record_property('gradient', close(gradient, data.grad_features, 1e-12))


@every_case(*FILE)
def test_the_graph(case, record_property):
    """With the choices of the released layer, counted by index, every link is the same."""
    data = case.load()
    label, order, links = (value.numpy() for value in (data.labels, data.order, data.triplet_idx))
    choice = np.zeros((len(label), 2))

    def choose(node, kind, found):
        taken = links[node, kind + 1]
        choice[node, kind] = (sorted(found).index(taken) + 0.5) / len(found)
        return taken

    assert np.array_equal(reference.class_graph(label, order, choose), links[:, 1:])
    graph = functional.class_graph(
        data.labels, data.order.argsort(), torch.from_numpy(choice), ignore_index=-1
    )
    assert torch.equal(graph.positive, data.triplet_idx[:, 1])
    assert torch.equal(graph.negative, data.triplet_idx[:, 2])
    alone = [i for i in range(len(label)) if (label == label[i]).sum() == 1]
    assert graph.singletons.item() == len(alone)
    assert graph.without_negative.item() == (links[:, 2] < 0).sum()
    record_property('mismatches', 0)


@every_case(*FILE)
def test_triplets(case, record_property):
    data = case.load()
    rows = functional.graph_triplets(data.features, stored_graph(data))
    for got, name in zip(rows, ('anchor', 'positive', 'negative')):
        assert torch.equal(got, data[name])
    record_property('mismatches', 0)


@every_case(*FILE)
@pytest.mark.parametrize('double', [False, True])
def test_loss(case, double, record_property):
    data = case.load(double)
    rows = [data[name].requires_grad_() for name in ('anchor', 'positive', 'negative')]
    loss, near, far = functional.triplet_loss(*rows, margin=data.margin)
    loss.backward()
    tolerance = data.tolerance(1e-5)
    record_property('loss', close(loss, data.loss, tolerance))
    for row, name in zip(rows, ('anchor', 'positive', 'negative')):
        record_property(name, close(row.grad, data[f'top_diff_{name}'], tolerance))
    if (data.hinge > 0).all():  # the loss is linear in the distances
        assert (data.margin + near - far).item() == pytest.approx(2 * data.loss, rel=1e-5)


@every_case(*FILE)
@pytest.mark.parametrize('double', [False, True])
def test_gradient_of_the_nodes(case, double, record_property):
    data = case.load(double)
    feature = data.features.requires_grad_()
    rows = functional.graph_triplets(feature, stored_graph(data))
    loss, _, _ = functional.triplet_loss(*rows, margin=data.margin)
    loss.backward()
    tolerance = data.tolerance(1e-5)
    record_property('loss', close(loss, data.loss, tolerance))
    record_property('gradient', close(feature.grad, data.grad_features, tolerance))
