# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from reference import contrast as reference

from mmseg_ctt.methods.ctt import bank_contrast as contrast
from mmseg_ctt.methods.ctt.functional import high_level_contrast, low_level_contrast

SHAPES = [(17, 3, 4, 6), (23, 5, 1, 8), (11, 2, 7, 3)]  # N, K, V, D


def problem(n, k, v, d, dtype=torch.float64, seed=0):
    """Query, peer, label (255 where invalid), bank and mask."""
    g = torch.Generator().manual_seed(seed)
    query = torch.randn(n, d, generator=g, dtype=torch.float64).to(dtype)
    peer = torch.randn(n, d, generator=g, dtype=torch.float64).to(dtype)
    label = torch.randint(0, k, (n,), generator=g)
    valid = torch.rand(n, generator=g) < 0.7
    bank = torch.randn(k, v, d, generator=g, dtype=torch.float64).to(dtype)
    return query, peer, label.masked_fill(~valid, 255), bank, valid


def run(which, query, peer, label, bank, **kwargs):
    if which == 'high':
        return high_level_contrast(query, label, bank, **kwargs)
    return low_level_contrast(query, peer, label, bank, **kwargs)


def expected(which, query, peer, label, bank, **kwargs):
    if which == 'high':
        return reference.high_level(query, label, bank, **kwargs)
    return reference.low_level(query, peer, label, bank, **kwargs)


def value_and_gradient(function, which, query, *rest, **kwargs):
    query = query.clone().requires_grad_()
    value = function(which, query, *rest, **kwargs)
    return value.detach(), torch.autograd.grad(value, query)[0]


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('temperature', [0.07, 0.5])
def test_value_and_gradient_equal_the_formula(which, shape, temperature):
    query, peer, label, bank, valid = problem(*shape)
    settings = dict(temperature=temperature, valid=valid)
    got = value_and_gradient(run, which, query, peer, label, bank, **settings)
    want = value_and_gradient(expected, which, query, peer, label, bank, **settings)
    assert want[0] > 0.01 and want[1].abs().max() > 1e-4
    # the class weights are float32 whatever the dtype of the features
    torch.testing.assert_close(got[0], want[0], rtol=3e-7, atol=0)
    torch.testing.assert_close(got[1], want[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('which', ['high', 'low'])
def test_without_a_mask_every_pixel_counts(which):
    query, peer, _, bank, _ = problem(12, 3, 2, 5)
    label = torch.arange(12) % 3
    got = run(which, query, peer, label, bank, temperature=0.3)
    want = expected(which, query, peer, label, bank, temperature=0.3)
    torch.testing.assert_close(got, want, rtol=3e-7, atol=0)


def test_defaults_are_the_published_temperatures():
    query, peer, label, bank, valid = problem(9, 3, 2, 5)
    assert high_level_contrast(query, label, bank, valid=valid) == high_level_contrast(
        query, label, bank, 0.1, valid
    )
    assert low_level_contrast(query, peer, label, bank, valid=valid) == low_level_contrast(
        query, peer, label, bank, 0.5, valid
    )


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('temperature', [0.02, 0.1, 1.0])
def test_gradcheck(which, temperature):
    query, peer, label, bank, valid = problem(7, 3, 2, 4, seed=3)
    label[valid.nonzero()[0]] = 1
    assert torch.autograd.gradcheck(
        lambda q: run(which, q, peer, label, bank, temperature=temperature, valid=valid),
        query.requires_grad_(),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('rows', [0.5, 1, 3, 7, 1000])
def test_chunks_change_nothing(which, rows, monkeypatch):
    query, peer, label, bank, valid = problem(17, 4, 3, 6)
    filled = torch.arange(3) < torch.tensor([[3], [1], [0], [2]])
    settings = dict(temperature=0.1, valid=valid, bank_valid=filled)
    want = value_and_gradient(run, which, query, peer, label, bank, **settings)
    seen = []
    inner = contrast._chunk
    monkeypatch.setattr(contrast, 'CHUNK_ELEMENTS', int(rows * 4 * 3))
    monkeypatch.setattr(
        contrast, '_chunk', lambda unit, *args: (seen.append(unit.shape[1]), inner(unit, *args))[1]
    )
    got = value_and_gradient(run, which, query, peer, label, bank, **settings)
    assert max(seen) == min(max(1, int(rows)), 17) and sum(seen) == 17
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('counts', [(4, 1, 2), (4, 0, 3), (0, 4, 0)])
def test_unfilled_slots_do_not_count(which, counts):
    query, peer, label, bank, valid = problem(19, 3, 4, 5, seed=1)
    filled = torch.arange(4) < torch.tensor(counts).unsqueeze(1)
    settings = dict(temperature=0.2, valid=valid, bank_valid=filled)
    garbage = torch.where(filled.unsqueeze(2), bank, 1e3 * torch.ones_like(bank))
    got = value_and_gradient(run, which, query, peer, label, garbage, **settings)
    if which == 'low' and counts == (0, 4, 0):
        assert (label[valid] == 1).any()  # these pixels have no negative: their term is 0
    want = value_and_gradient(expected, which, query, peer, label, bank, **settings)
    torch.testing.assert_close(got[0], want[0], rtol=3e-7, atol=1e-12)
    torch.testing.assert_close(got[1], want[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('which', ['high', 'low'])
def test_zero_filled_slots_equal_a_smaller_bank(which):
    query, peer, label, bank, valid = problem(15, 3, 4, 5, seed=2)
    padded = torch.cat([bank, torch.zeros(3, 6, 5, dtype=bank.dtype)], dim=1)
    filled = (torch.arange(10) < 4).expand(3, 10)
    got = run(which, query, peer, label, padded, temperature=0.1, valid=valid, bank_valid=filled)
    want = run(which, query, peer, label, bank, temperature=0.1, valid=valid)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('which', ['high', 'low'])
def test_only_the_query_gets_gradient(which):
    query, peer, label, bank, valid = problem(9, 3, 2, 5)
    for tensor in (query, peer, bank):
        tensor.requires_grad_()
    run(which, query, peer, label, bank, valid=valid).backward()
    assert query.grad is not None and query.grad.abs().sum() > 0
    assert query.grad[~valid].abs().sum() == 0
    assert peer.grad is None and bank.grad is None


@pytest.mark.parametrize('which', ['high', 'low'])
def test_autocast_gives_the_float32_value(which):
    query, peer, label, bank, valid = problem(40, 4, 8, 32, dtype=torch.float32)
    settings = dict(temperature=0.1, valid=valid)
    want = value_and_gradient(run, which, query, peer, label, bank, **settings)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert (query @ query.t()).dtype == torch.bfloat16
        got = value_and_gradient(run, which, query, peer, label, bank, **settings)
    assert got[0].dtype == torch.float32 and got[0] == want[0]
    assert torch.equal(got[1], want[1])


@pytest.mark.parametrize('which', ['high', 'low'])
def test_half_precision_features_are_computed_in_float32(which):
    query, peer, label, bank, valid = problem(30, 4, 8, 32, dtype=torch.bfloat16)
    settings = dict(temperature=0.1, valid=valid)
    got = value_and_gradient(run, which, query, peer, label, bank, **settings)
    want = value_and_gradient(
        run, which, query.float(), peer.float(), label, bank.float(), **settings
    )
    assert got[0].dtype == torch.float32 and got[0] == want[0]
    assert torch.equal(got[1], want[1].bfloat16())


@pytest.mark.parametrize('which', ['high', 'low'])
def test_scale_of_the_features_does_not_matter(which):
    query, peer, label, bank, valid = problem(13, 3, 4, 6)
    want = run(which, query, peer, label, bank, valid=valid)
    got = run(which, 7 * query, 0.1 * peer, label, 30 * bank, valid=valid)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('which', ['high', 'low'])
def test_saved_memory_does_not_grow_with_the_bank(which):
    n, k, v, d = 64, 8, 50, 4
    query, peer, label, bank, valid = problem(n, k, v, d, dtype=torch.float32)
    query.requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: (saved.append(t.numel()), t)[1], lambda t: t
    ):
        loss = run(which, query, peer, label, bank, valid=valid)
    loss.backward()
    assert saved and sum(saved) <= 2 * n * d < n * k * v
    assert query.grad.abs().sum() > 0


@pytest.mark.parametrize('which', ['high', 'low'])
def test_different_widths_are_an_error(which):
    query, peer, label, bank, valid = problem(5, 3, 2, 4)
    with pytest.raises(ValueError, match='4 wide.*bank 6.*bank.dim'):
        run(which, query, peer, label, torch.zeros(3, 2, 6), valid=valid)


@pytest.mark.parametrize('which', ['high', 'low'])
@pytest.mark.parametrize('temperature', [0.02, 0.1])
def test_a_leading_dimension_holds_problems_of_their_own(which, temperature):
    problems = [problem(17, 4, 3, 6, seed=seed) for seed in range(3)]
    filled = torch.arange(3) < torch.tensor([[3], [1], [0], [2]])
    filled = [filled.roll(shift, 0) for shift in range(3)]
    want = [
        value_and_gradient(
            run,
            which,
            query,
            peer,
            label,
            bank,
            temperature=temperature,
            valid=valid,
            bank_valid=slots,
        )
        for (query, peer, label, bank, valid), slots in zip(problems, filled)
    ]
    query, peer, label, bank, valid = map(torch.stack, zip(*problems))
    query = query.detach().requires_grad_()
    loss = run(
        which,
        query,
        peer,
        label,
        bank,
        temperature=temperature,
        valid=valid,
        bank_valid=torch.stack(filled),
    )
    assert loss.shape == (3,)
    torch.testing.assert_close(loss, torch.stack([one for one, _ in want]))
    loss.sum().backward()
    torch.testing.assert_close(query.grad, torch.stack([one for _, one in want]))
