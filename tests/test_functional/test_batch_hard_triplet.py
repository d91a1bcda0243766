# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from reference import exemplar as reference

from mmseg_ctt.functional import batch_hard_triplet

IMAGES, VIEWS, D = 3, 4, 5


def embeddings(number=IMAGES * VIEWS, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(number, D, generator=g, dtype=dtype)).requires_grad_()


def by_image(images=IMAGES, views=VIEWS):
    return torch.arange(images).repeat_interleave(views)


def test_known_value():
    torch.manual_seed(0)
    found = batch_hard_triplet(F.normalize(torch.randn(8, 16)), by_image(4, 2))
    assert found.loss.item() == pytest.approx(0.8349, abs=5e-5) and found.triplets == 8


@pytest.mark.parametrize('margin', [None, 0.0, 0.3])
@pytest.mark.parametrize('ids', [[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], [5, 5, 5, 9, 9, 9, 2, 2, 7]])
def test_it_equals_loops(margin, ids):
    """Also where an id has no second embedding, so that it is no anchor."""
    embedding = embeddings(len(ids))
    got = batch_hard_triplet(embedding, torch.tensor(ids), margin)
    want = reference.batch_hard(embedding.detach().double().numpy(), ids, margin)
    assert [value.item() for value in got] == pytest.approx(want, rel=1e-5)
    assert 0 < got.accuracy < 1 and got.triplets == (8 if 7 in ids else 12)


@pytest.mark.parametrize('margin', [None, 2.0])
def test_gradient(margin):
    embedding, ids = embeddings(6, torch.float64), by_image(3, 2)
    assert torch.autograd.gradcheck(lambda x: batch_hard_triplet(x, ids, margin).loss, embedding)


@pytest.mark.parametrize('case', ['images of one', 'one image', 'one', 'none'])
def test_without_triplets_it_is_zero_with_a_graph(case):
    ids = dict(zip(('images of one', 'one image', 'one', 'none'), ([0, 1, 2], [4, 4], [0], [])))[
        case
    ]
    embedding = embeddings(len(ids))
    found = batch_hard_triplet(embedding, torch.tensor(ids, dtype=torch.long))
    found.loss.backward()
    assert [value.item() for value in found] == [0, 0, 0]
    assert embedding.grad is not None and not embedding.grad.any()


def test_equal_embeddings_have_a_finite_gradient():
    """The distance has no slope at 0; such an anchor is no hit."""
    embedding = torch.ones(4, D, requires_grad=True)
    found = batch_hard_triplet(embedding, by_image(2, 2))
    found.loss.backward()
    assert found.loss.item() == pytest.approx(0.6931, abs=1e-4) and found.accuracy == 0
    assert not embedding.grad.any()


def test_small_distances_keep_their_digits():
    """Those from a product of the embeddings would not."""
    embedding = embeddings(2).detach().repeat(1, 1)
    near = embedding + 1e-4 * torch.tensor([1.0, 0, 0, 0, 0])
    both = torch.stack([embedding, near], dim=1).flatten(0, 1).requires_grad_()
    got = batch_hard_triplet(both, by_image(2, 2))
    want, *_ = reference.batch_hard(both.detach().double().numpy(), [0, 0, 1, 1])
    assert got.loss.item() == pytest.approx(want, rel=1e-6)
