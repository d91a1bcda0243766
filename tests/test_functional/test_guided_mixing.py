# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from no_sync import record
from reference import guided_mixing as reference

from mmseg_ctt.methods.guidedmix.functional import (
    classes_present,
    decouple,
    interpolate_pair,
    most_similar,
    sigmoid_focal,
    soft_squared_error,
)

SHAPE, K = (2, 3, 4), 5


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def labels(seed=1):
    return torch.randint(0, K, SHAPE, generator=torch.Generator().manual_seed(seed))


def test_most_similar_equals_loops():
    query, pool = random(7, 6), random(4, 6, seed=1) * torch.tensor([[0.1], [9.0], [1.0], [3.0]])
    want = [
        max(range(4), key=lambda j: reference.cosine(one.tolist(), pool[j].tolist()))
        for one in query
    ]
    assert most_similar(query, pool).tolist() == want and len(set(want)) > 1
    assert most_similar(query, pool[:1]).tolist() == [0] * 7
    assert most_similar(torch.zeros(2, 6), torch.zeros(3, 6)).tolist() == [0, 0]


def test_classes_present_equals_loops():
    label = labels()
    label[0][label[0] == 2], label[1] = 255, -1
    assert classes_present(label, K).tolist() == reference.present(label, K)
    assert classes_present(label, K)[1].sum() == 0


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_interpolation_and_decoupling(dtype):
    a, b = random(2, K, 3, 4), random(2, K, 3, 4, seed=1)
    share = torch.tensor([0.0, 0.4])
    mixed = interpolate_pair(a.to(dtype), b.to(dtype), share)
    assert mixed.dtype == dtype and torch.equal(mixed[0], b[0].to(dtype))
    loose = dict(atol=0.03, rtol=0.03) if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(mixed[1].float(), 0.4 * a[1] + 0.6 * b[1], **loose)
    left = decouple(mixed, a.to(dtype), share)  # of a linear network, the share of the other one
    assert left.dtype == torch.float32
    torch.testing.assert_close(left, (1 - share.view(2, 1, 1, 1)) * b, **loose)


@pytest.mark.parametrize('gamma,alpha', [(0.5, 0.5), (2.0, 0.25), (0.0, 0.5)])
def test_focal_equals_loops(gamma, alpha):
    logits, label = 3 * random(2, K, 3, 4), labels()
    got = sigmoid_focal(logits, label, gamma, alpha)
    assert got.shape == SHAPE
    assert got.mean().item() == pytest.approx(
        reference.sigmoid_focal(logits, label, gamma, alpha), rel=1e-5
    )


@pytest.mark.parametrize('scale', [0.0, 30.0, 1e4])
def test_focal_has_a_finite_slope_everywhere(scale):
    logits = (random(2, K, 3, 4) * scale).requires_grad_()
    loss = sigmoid_focal(logits, labels()).mean()
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    sure = (torch.nn.functional.one_hot(labels(), K).permute(0, 3, 1, 2) * 2e4 - 1e4).float()
    assert sigmoid_focal(sure, labels()).max() < 1e-6


def test_gradcheck():
    logits, other = (
        random(1, 3, 2, 2, dtype=torch.float64),
        random(1, 3, 2, 2, seed=2, dtype=torch.float64),
    )
    label = torch.tensor([[[0, 1], [2, 1]]])
    share = torch.tensor([0.3])
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda o: sigmoid_focal(o, label).mean(), logits)
    assert torch.autograd.gradcheck(lambda o: soft_squared_error(o, other).mean(), logits)
    assert torch.autograd.gradcheck(lambda o: decouple(o, other, share), logits)


def test_squared_error():
    a, b = random(2, K, 3, 4), random(2, K, 3, 4, seed=1)
    want = ((a.softmax(1) - b.softmax(1)) ** 2).mean(1)
    torch.testing.assert_close(soft_squared_error(a, b), want)
    assert soft_squared_error(a, a + 3).abs().max() < 1e-12


def test_nothing_waits_for_the_device():
    a, b, share = random(2, K, 3, 4).requires_grad_(), random(2, K, 3, 4, seed=1), torch.rand(2)
    label = labels()

    def step():
        partner = most_similar(b.mean((2, 3)), a.mean((2, 3)))
        left = decouple(interpolate_pair(a, b, share), b[partner], share)
        classes_present(label, K)
        (sigmoid_focal(left, label) + soft_squared_error(left, b)).mean().backward()

    assert record(step) == []
