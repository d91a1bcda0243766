# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from reference import u2pl as reference

from mmseg_ctt.functional import class_sums
from mmseg_ctt.methods.u2pl.functional import (
    negative_candidates,
    reliable_cross_entropy,
    unreliable_contrast,
)

K, D, V, N, A, M = 5, 6, 7, 40, 4, 3


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- reliable pixels


def unsupervised(seed=0, share=0.6):
    g = generator(seed)
    logits = 2 * torch.randn(2, K, 4, 5, generator=g, dtype=torch.float64)
    label = torch.randint(0, K, (2, 4, 5), generator=g)
    label[0, 0] = 255
    return logits.requires_grad_(), label, torch.rand(2, 4, 5, generator=g) < share


@pytest.mark.parametrize('share', [0.1, 0.6, 1.1])
def test_cross_entropy_of_the_reliable(share):
    logits, label, reliable = unsupervised(share=share)
    got = reliable_cross_entropy(logits, label, reliable)
    rows = logits.permute(0, 2, 3, 1).reshape(-1, K)
    want = reference.reliable_loss(rows, label.flatten(), reliable.flatten())
    assert want > 0
    torch.testing.assert_close(got, want, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        *(torch.autograd.grad(one, logits, retain_graph=True)[0] for one in (got, want))
    )


def test_nothing_reliable_is_zero_with_a_graph():
    logits, label, reliable = unsupervised()
    for mask, target in (
        (torch.zeros_like(reliable), label),
        (reliable, torch.full_like(label, 255)),
    ):
        loss = reliable_cross_entropy(logits, target, mask)
        assert loss == 0
        assert torch.autograd.grad(loss, logits)[0].abs().sum() == 0


def test_cross_entropy_in_half_precision_is_float32():
    logits, label, reliable = unsupervised()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = reliable_cross_entropy(logits.to(torch.bfloat16), label, reliable)
    assert loss.dtype == torch.float32 and torch.isfinite(loss)


def test_two_processes_are_one_with_all_pixels():
    logits, label, reliable = unsupervised()
    whole = reliable_cross_entropy(logits, label, reliable)
    kept = [(reliable[i] & (label[i] != 255)).sum() for i in (0, 1)]
    assert kept[0] != kept[1]
    parts = [
        reliable_cross_entropy(
            logits[i : i + 1],
            label[i : i + 1],
            reliable[i : i + 1],
            mean_count=lambda _: sum(kept) / 2,
        )
        for i in (0, 1)
    ]
    torch.testing.assert_close(sum(parts) / 2, whole)


# ---- negatives


def batch(seed=0):
    g = generator(seed)
    prob = (2 * torch.randn(N, K, generator=g)).softmax(1)
    label = torch.randint(0, K, (N,), generator=g)
    known = torch.arange(N) < N // 2
    unreliable = ~known & (torch.rand(N, generator=g) < 0.5)
    known = known & (torch.rand(N, generator=g) < 0.8)
    return prob, label.masked_fill(~known & ~unreliable, 255), known, unreliable


@pytest.mark.parametrize('rule', ['paper', 'released'])
@pytest.mark.parametrize('ranks', [(1, 3), (2, 5), (3, 20)])
@pytest.mark.parametrize('below', [1.0, 0.05])
def test_negatives_of_every_class(rule, ranks, below):
    given = batch()
    got = negative_candidates(*given, ranks, below, rule)
    want = reference.negatives(*given, ranks, below, rule)
    assert {c: got[c].nonzero().flatten().tolist() for c in range(K)} == want
    if rule == 'paper' and below == 1:
        assert all(want.values())


def test_what_the_two_rules_take():
    prob, label, known, unreliable = batch()
    paper = negative_candidates(prob, label, known, unreliable, (2, 4))
    # a pixel whose label is the teacher's choice is a negative of no class as released
    agreed = torch.where(known | unreliable, prob.argmax(1), 255)
    released = negative_candidates(prob, agreed, known, unreliable, (2, 4), rule='released')
    assert released.sum() == 0
    assert paper[:, unreliable].sum() == 2 * unreliable.sum()  # ranks 2 and 3
    own = paper[label.masked_fill(~known, 0), torch.arange(N)] & known
    assert not own.any()  # never of its true class
    assert not paper[:, ~known & ~unreliable].any()


def test_unknown_rule():
    with pytest.raises(ValueError, match="rule must be one of .*'other'"):
        negative_candidates(*batch(), rule='other')


def test_class_sums():
    _, label, known, _ = batch()
    feature = torch.randn(N, D, generator=generator(3), dtype=torch.float64).requires_grad_()
    total, count = class_sums(feature, label, known, K)
    assert not total.requires_grad
    for c in range(K):
        assert count[c] == ((label == c) & known).sum()
        if count[c] == 0:
            assert total[c].abs().sum() == 0
            continue
        torch.testing.assert_close(
            total[c] / count[c], reference.class_mean(feature.detach(), label, known, c)
        )
    total, count = class_sums(feature, label, torch.zeros_like(known), K)
    assert total.abs().sum() == count.sum() == 0


# ---- contrast


def problem(seed=0, dtype=torch.float64):
    g = generator(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=g, dtype=dtype)

    return dict(
        query=randn(N, D).requires_grad_(),
        anchor=torch.randint(0, N, (K, A), generator=g),
        prototype=randn(K, D),
        bank=3 * randn(K, V, D),
        negative=torch.randint(0, V, (K, A, M), generator=g),
        weight=torch.tensor([0.2, 0, 0.5, 0.1, 0.2], dtype=dtype),
    )


def slow(given, temperature):
    return reference.contrast(
        given['query'],
        dict(enumerate(given['anchor'].tolist())),
        given['prototype'],
        given['bank'],
        dict(enumerate(given['negative'].tolist())),
        given['weight'].tolist(),
        temperature,
    )


@pytest.mark.parametrize('temperature', [0.5, 0.07])
def test_contrast_equals_the_formula(temperature):
    given = problem()
    got, want = unreliable_contrast(**given, temperature=temperature), slow(given, temperature)
    assert want > 0.5
    torch.testing.assert_close(got, want, rtol=1e-12, atol=0)
    gradients = [
        torch.autograd.grad(one, given['query'], retain_graph=True)[0] for one in (got, want)
    ]
    torch.testing.assert_close(*gradients)
    drawn = given['anchor'][given['weight'] > 0].unique()
    left = torch.ones(N, dtype=torch.bool)
    left[drawn] = False
    assert gradients[0][left].abs().sum() == 0 and (gradients[0][drawn].abs().sum(1) > 0).all()


def test_gradcheck():
    given = problem(1)
    query = given.pop('query')
    assert torch.autograd.gradcheck(lambda q: unreliable_contrast(q, **given), (query,))


def test_default_temperature():
    given = problem()
    torch.testing.assert_close(unreliable_contrast(**given), slow(given, 0.5))


def test_only_the_query_learns():
    given = problem()
    for name in ('prototype', 'bank'):
        given[name].requires_grad_()
    unreliable_contrast(**given).backward()
    assert given['bank'].grad is None and given['prototype'].grad is None


def test_no_class_takes_part():
    given = problem()
    given['weight'] = torch.zeros(K)
    loss = unreliable_contrast(**given)
    assert loss == 0
    loss.backward()
    assert given['query'].grad.abs().sum() == 0


def test_empty_queues_and_absent_classes_stay_finite():
    given = problem(dtype=torch.float32)
    given['bank'].zero_()
    given['prototype'][1] = 0
    with torch.no_grad():
        given['query'][given['anchor'][0, 0]] = 0
    loss = unreliable_contrast(**given)
    assert torch.isfinite(loss)
    loss.backward()
    gradient = given['query'].grad
    assert torch.isfinite(gradient).all()
    assert gradient[given['anchor'][0, 0]].abs().sum() == 0  # a zero feature has no direction


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32])
def test_contrast_is_float32_inside_autocast(dtype):
    given = problem(dtype=torch.float32)
    want = unreliable_contrast(**given)
    given['query'] = given['query'].detach().to(dtype).requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = unreliable_contrast(**given)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, want, rtol=0.02 if dtype == torch.bfloat16 else 1e-6, atol=0)


def test_wrong_width_is_an_error():
    given = problem()
    given['query'] = given['query'][:, 1:]
    with pytest.raises(ValueError, match='5 wide.*memory bank 6.*bank.dim'):
        unreliable_contrast(**given)
