# Copyright (c) mmseg_ctt contributors.
"""Inputs for which a direct implementation gives NaN or infinity."""

import pytest
import torch
from reference import contrast as reference

from mmseg_ctt.methods.ctt.functional import high_level_contrast, low_level_contrast

N, K, V, D = 10, 4, 3, 6


def run(which, query, label, bank, **kwargs):
    if which == 'high':
        return high_level_contrast(query, label, bank, **kwargs)
    return low_level_contrast(query, torch.ones_like(query), label, bank, **kwargs)


def tensors(seed=0):
    g = torch.Generator().manual_seed(seed)
    return (
        torch.randn(N, D, generator=g).requires_grad_(),
        torch.randint(0, K, (N,), generator=g),
        torch.randn(K, V, D, generator=g),
    )


def backward(loss, query):
    assert loss.shape == () and torch.isfinite(loss) and loss.requires_grad
    loss.backward()
    assert query.grad is not None and torch.isfinite(query.grad).all()
    return query.grad


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('garbage', [0, 255, -1])
def test_no_pixel_selected_is_zero_with_a_graph(which, garbage):
    query, label, bank = tensors()
    label = torch.full_like(label, garbage)
    loss = run(which, query, label, bank, valid=torch.zeros(N, dtype=torch.bool))
    assert loss == 0
    assert backward(loss, query).abs().sum() == 0


@pytest.mark.parametrize('which', ['high', 'low'])
def test_no_pixel_at_all_is_zero_with_a_graph(which):
    query = torch.zeros(0, D, requires_grad=True)
    loss = run(which, query, torch.zeros(0, dtype=torch.long), tensors()[2])
    assert loss == 0
    backward(loss, query)


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('temperature', [0.01, 0.1])
def test_empty_bank_is_zero_with_a_graph(which, temperature):
    query, label, bank = tensors()
    loss = run(
        which,
        query,
        label,
        torch.zeros_like(bank),
        temperature=temperature,
        bank_valid=torch.zeros(K, V, dtype=torch.bool),
    )
    assert loss == 0
    assert backward(loss, query).abs().sum() == 0


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('temperature', [0.01, 0.1])
def test_a_single_class_has_no_negative(which, temperature):
    query, label, bank = tensors()
    loss = run(which, query, torch.zeros_like(label), bank[:1], temperature=temperature)
    assert loss == 0
    assert backward(loss, query).abs().sum() == 0


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('garbage', [255, -1, 10**6])
def test_label_of_a_pixel_that_is_left_out_may_be_anything(which, garbage):
    query, label, bank = tensors()
    valid = torch.arange(N) % 3 > 0
    want = run(which, query, label, bank, valid=valid)
    loss = run(which, query, label.masked_fill(~valid, garbage), bank, valid=valid)
    assert loss == want > 0
    assert backward(loss, query)[~valid].abs().sum() == 0


@pytest.mark.parametrize('which', ['high', 'low'])
def test_class_without_a_selected_pixel_is_not_averaged_over(which):
    """The released code divides 0 by 0 for a class whose pixels all fail the second mask."""
    query, label, bank = tensors()
    label = torch.arange(N) % K
    valid = label != 2
    got = run(which, query, label, bank, valid=valid)
    kept = valid.nonzero().squeeze(1)
    means = [
        run(which, query[kept][label[kept] == c], label[kept][label[kept] == c], bank)
        for c in (0, 1, 3)
    ]
    torch.testing.assert_close(got, sum(means) / 3)
    backward(got, query)


@pytest.mark.parametrize('which', ['high', 'low'])
def test_class_unknown_to_the_bank(which):
    query, label, bank = tensors()
    label = torch.arange(N) % K
    filled = torch.ones(K, V, dtype=torch.bool)
    filled[1] = False
    loss = run(which, query, label, bank, bank_valid=filled)
    assert loss > 0
    gradient = backward(loss, query)
    if which == 'high':  # nothing to be drawn to
        assert gradient[label == 1].abs().sum() == 0
        torch.testing.assert_close(
            loss, run(which, query, label, bank, bank_valid=filled, valid=label != 1)
        )
    else:  # the peer's feature is still there
        assert (gradient[label == 1].abs().sum(1) > 0).all()


@pytest.mark.parametrize('which', ['high', 'low'])
def test_zero_features_stay_finite(which):
    query, label, bank = tensors()
    zeroed = query.detach().clone()
    zeroed[::2] = 0
    bank[0] = 0
    zeroed.requires_grad_()
    loss = run(which, zeroed, label, bank)
    assert loss > 0
    backward(loss, zeroed)


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('temperature', [0.001, 0.01, 0.049, 0.05])
@pytest.mark.parametrize('slots', [V, 1])
def test_tiny_temperature(which, temperature, slots):
    """Exponentials of 1/t overflow or vanish; the formula with logsumexp does neither."""
    query, label, bank = tensors(seed=4)
    filled = (torch.arange(V) < slots).expand(K, V)
    bank[:, slots:] = 0
    loss = run(which, query, label, bank, temperature=temperature, bank_valid=filled)
    double = query.detach().double().requires_grad_()
    if which == 'high':
        want = reference.high_level(double, label, bank, temperature, bank_valid=filled)
    else:
        want = reference.low_level(
            double, torch.ones_like(double), label, bank, temperature, bank_valid=filled
        )
    assert loss > 1
    torch.testing.assert_close(loss.double(), want, rtol=1e-4, atol=0)
    gradient = backward(loss, query)
    torch.testing.assert_close(
        gradient.double(), torch.autograd.grad(want, double)[0], rtol=1e-2, atol=1e-4 / temperature
    )


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('sign', [1, -1])
def test_queries_along_and_against_their_class(which, sign):
    bank = torch.eye(K, D).unsqueeze(1).repeat(1, V, 1)
    label = torch.arange(K)
    query = (sign * bank[:, 0]).clone().requires_grad_()
    if which == 'high':
        loss = high_level_contrast(query, label, bank, 0.01)
    else:
        loss = low_level_contrast(query, bank[:, 0], label, bank, 0.01)
    # similarity of the positive is +-100, of each of the (K - 1) * V negatives 0
    want = 0.0 if sign == 1 else 100 + torch.tensor(9.0).log().item()
    assert loss.item() == pytest.approx(want, abs=1e-4)
    backward(loss, query)
