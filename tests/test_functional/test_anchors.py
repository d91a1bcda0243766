# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from no_sync import record
from reference import stpg as slow
from versions import COMPILE

from mmseg_ctt.methods.stpg.functional import anchor_contrast, equiangular_anchors, moving_centroids

N, K, V, D = 24, 5, 4, 6


def inputs(seed=0, dtype=torch.float32):
    """Features, labels with 255 where not valid, anchors, a bank and its filled slots.

    Class 3 has one pixel, class 4 none; class 0 has an empty queue, class 1 one entry.
    """
    g = torch.Generator().manual_seed(seed)
    feature = torch.randn(N, D, generator=g, dtype=dtype) * 3
    label = torch.randint(0, 3, (N,), generator=g)
    valid = torch.rand(N, generator=g) < 0.8
    label[5], valid[5] = 3, True
    label = label.masked_fill(~valid, 255)
    bank = torch.randn(K, V, D, generator=g, dtype=dtype)
    filled = torch.arange(V) < torch.tensor([0, 1, 2, 4, 3]).unsqueeze(1)
    return feature.requires_grad_(), label, equiangular_anchors(K, D).to(dtype), bank, valid, filled


def listed(bank, filled):
    return [[entry for entry, ok in zip(row, flag) if ok] for row, flag in zip(bank, filled)]


# ---- anchors


@pytest.mark.parametrize(
    'num_classes,dim', [(2, 1), (2, 8), (4, 3), (11, 128), (19, 256), (21, 20)]
)
def test_anchors_have_equal_angles(num_classes, dim):
    anchors = equiangular_anchors(num_classes, dim)
    assert anchors.shape == (num_classes, dim) and anchors.dtype == torch.float32
    want = torch.full((num_classes, num_classes), -1 / (num_classes - 1)).fill_diagonal_(1)
    torch.testing.assert_close(anchors @ anchors.t(), want, rtol=0, atol=1e-6)
    assert torch.equal(anchors, equiangular_anchors(num_classes, dim))
    assert dim == 1 or not torch.equal(anchors, equiangular_anchors(num_classes, dim, seed=1))


@pytest.mark.parametrize('num_classes,dim', [(1, 8), (11, 9)])
def test_anchors_that_do_not_fit(num_classes, dim):
    with pytest.raises(ValueError, match='raise model.contrast.dim'):
        equiangular_anchors(num_classes, dim)


# ---- centroids


@pytest.mark.parametrize('seed', range(3))
def test_centroids_equal_loops(seed):
    feature, label, start, _, valid, _ = inputs(seed)
    got = moving_centroids(start, feature, label, valid, 0.7)
    for c in range(K):
        own = [feature[i].detach() for i in range(N) if valid[i] and label[i] == c]
        torch.testing.assert_close(got[c], slow.centroid(start[c], own, 0.7).float())
    assert torch.equal(got[4], start[4]) and not torch.equal(got[3], start[3])
    nothing = moving_centroids(start, feature, label, torch.zeros_like(valid))
    assert torch.equal(nothing, start) and not got.requires_grad


def test_centroids_of_several_processes():
    feature, label, start, _, valid, _ = inputs()
    sums = []
    for part in (slice(0, 7), slice(7, N)):
        moving_centroids(
            start,
            feature[part],
            label[part],
            valid[part],
            sum_counts=lambda one: (sums.append(one.clone()), one)[1],
        )
    got = moving_centroids(
        start, feature[:7], label[:7], valid[:7], sum_counts=lambda one: one + sums[1]
    )
    torch.testing.assert_close(got, moving_centroids(start, feature, label, valid))


def test_features_that_cancel_leave_no_nan():
    start = equiangular_anchors(2, 3)
    feature = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0], [0.0, 0, 0]])
    got = moving_centroids(start, feature, torch.tensor([0, 0, 1]), torch.ones(3).bool())
    torch.testing.assert_close(got, start)


# ---- contrast


@pytest.mark.parametrize('average', ['all', 'present'])
@pytest.mark.parametrize('minimum', [1, 2, 3])
@pytest.mark.parametrize('memory', [True, False])
def test_contrast_equals_loops(memory, minimum, average):
    feature, label, anchors, bank, valid, filled = inputs()
    twin = feature.detach().double().requires_grad_()
    got = anchor_contrast(
        feature, label, anchors, bank if memory else None, 0.4, valid, filled, minimum, average
    )
    want = slow.contrast(
        twin, label, anchors, listed(bank, filled) if memory else None, 0.4, minimum, average, valid
    )
    got.backward()
    want.backward()
    assert got.item() == pytest.approx(want.item(), rel=1e-5) and got > 0
    torch.testing.assert_close(feature.grad.double(), twin.grad, rtol=1e-4, atol=1e-7)


def test_all_pixels_and_a_full_bank_are_the_default():
    feature, label, anchors, bank, *_ = inputs()
    label = label % K
    full = [list(row) for row in bank]
    got = anchor_contrast(feature, label, anchors, bank)
    assert got.item() == pytest.approx(
        slow.contrast(feature, label, anchors, full, 0.5).item(), rel=1e-5
    )


def test_gradient():
    feature, label, anchors, bank, valid, filled = inputs(dtype=torch.double)
    assert torch.autograd.gradcheck(
        lambda f: anchor_contrast(f, label, anchors, bank, 0.3, valid, filled), feature
    )


def test_only_the_features_get_a_gradient():
    feature, label, anchors, bank, valid, filled = inputs()
    anchors.requires_grad_(), bank.requires_grad_()
    anchor_contrast(feature, label, anchors, bank, 0.5, valid, filled).backward()
    assert anchors.grad is None and bank.grad is None
    assert (feature.grad[~valid] == 0).all() and (feature.grad[5] == 0).all()  # alone in its class


@pytest.mark.parametrize('case', ['nothing valid', 'no pixel', 'only small classes'])
def test_nothing_to_contrast_is_a_zero_in_the_graph(case):
    feature, label, anchors, bank, valid, filled = inputs()
    minimum = 2
    if case == 'nothing valid':
        label, valid = torch.full_like(label, 255), torch.zeros_like(valid)
    elif case == 'no pixel':
        feature, label, valid = feature[:0], label[:0], valid[:0]
        feature.retain_grad()
    else:
        minimum = 100
    for average in ('all', 'present'):
        loss = anchor_contrast(feature, label, anchors, bank, 0.5, valid, filled, minimum, average)
        loss.backward()
        assert loss == 0 and feature.grad.abs().sum() == 0


def test_empty_memory_leaves_the_anchor_term():
    feature, label, anchors, bank, valid, filled = inputs()
    without = anchor_contrast(feature, label, anchors, None, 0.5, valid)
    empty = anchor_contrast(feature, label, anchors, bank, 0.5, valid, torch.zeros_like(filled))
    assert torch.equal(without, empty) and without > 0
    assert anchor_contrast(feature, label, anchors, bank, 0.5, valid, filled) > without


def test_zero_features_get_no_gradient():
    feature, label, anchors, bank, valid, filled = inputs()
    first = int(valid.nonzero()[0])
    with torch.no_grad():
        feature[first] = 0
    anchor_contrast(feature, label, anchors, bank, 0.5, valid, filled).backward()
    assert torch.isfinite(feature.grad).all() and (feature.grad[first] == 0).all()


@pytest.mark.parametrize('average', ['all', 'present'])
def test_the_mean_of_two_processes_is_one_process(average):
    feature, label, anchors, bank, valid, filled = inputs()
    settings = dict(temperature=0.5, bank_valid=filled, average=average)
    whole = anchor_contrast(feature, label, anchors, bank, valid=valid, **settings)
    (slope,) = torch.autograd.grad(whole, feature)
    parts, counts = (slice(0, 6), slice(6, N)), []
    for part in parts:
        anchor_contrast(
            feature[part],
            label[part],
            anchors,
            bank,
            valid=valid[part],
            sum_counts=lambda c: (counts.append(c.clone()), c)[1],
            **settings,
        )
    assert counts[0][-1] == 1 and counts[0][3] + counts[1][3] == 1
    halves = (
        sum(
            anchor_contrast(
                feature[part],
                label[part],
                anchors,
                bank,
                valid=valid[part],
                sum_counts=lambda c: counts[0] + counts[1],
                **settings,
            )
            for part in parts
        )
        / 2
    )
    torch.testing.assert_close(halves, whole)
    torch.testing.assert_close(torch.autograd.grad(halves, feature)[0], slope)


@pytest.mark.parametrize('half', [True, False])
def test_half_precision(half):
    feature, label, anchors, bank, valid, filled = inputs()
    feature = feature.detach().bfloat16().float()
    want = anchor_contrast(feature, label, anchors, bank, 0.5, valid, filled)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = anchor_contrast(
            feature.bfloat16() if half else feature, label, anchors, bank, 0.5, valid, filled
        )
        moved = moving_centroids(anchors, feature, label, valid)
    assert got.dtype == moved.dtype == torch.float32
    assert torch.equal(got, want)
    assert torch.equal(moved, moving_centroids(anchors, feature, label, valid))


def test_nothing_is_read_back():
    feature, label, anchors, bank, valid, filled = inputs()

    def step():
        moving_centroids(anchors, feature, label, valid)
        anchor_contrast(feature, label, anchors, bank, 0.5, valid, filled).backward()

    assert record(step) == []
    assert feature.grad.abs().sum() > 0


@COMPILE
def test_compiled():
    """One graph each, the values of eager execution."""
    feature, label, anchors, bank, valid, filled = inputs()
    for function in (
        lambda f: anchor_contrast(f, label, anchors, bank, 0.5, valid, filled),
        lambda f: anchor_contrast(f, label, anchors, bank, average='present', valid=valid),
        lambda f: moving_centroids(anchors, f, label, valid),
    ):
        torch._dynamo.reset()
        compiled = torch.compile(function, backend='aot_eager', fullgraph=True)
        torch.testing.assert_close(compiled(feature), function(feature))


def test_bad_arguments():
    feature, label, anchors, bank, *_ = inputs()
    with pytest.raises(ValueError, match='wide'):
        anchor_contrast(feature[:, :-1], label, anchors)
    with pytest.raises(ValueError, match='wide'):
        anchor_contrast(feature, label, anchors, bank[..., :-1])
    with pytest.raises(ValueError, match='average must be one of'):
        anchor_contrast(feature, label, anchors, average='some')
