# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from reference import cross_entropy as reference

from mmseg_ctt.functional import (
    confident_fraction_cross_entropy,
    cross_entropy,
    downsample_nearest,
    pseudo_label,
)


def logits_of(shape, scale=1.0, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def labels_of(shape, k, ignored=0.3, ignore_index=255, seed=1):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, k, shape, generator=g)
    return label.masked_fill(torch.rand(shape, generator=g) < ignored, ignore_index)


# ---- pseudo-labels


@pytest.mark.parametrize('shape', [(1, 2, 3, 4), (2, 5, 4, 3), (3, 19, 1, 1)])
def test_pseudo_label_equals_loops(shape):
    logits = logits_of(shape, 3)
    label, confidence = pseudo_label(logits)
    assert label.dtype == torch.int64 and confidence.dtype == torch.float32
    for b in range(shape[0]):
        for y in range(shape[2]):
            for x in range(shape[3]):
                c, p = reference.label_and_confidence(logits[b, :, y, x].double().tolist())
                assert label[b, y, x] == c
                assert confidence[b, y, x].item() == pytest.approx(p, rel=1e-5)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(9, 7), (4, 5), (3, 2)])
def test_pseudo_label_upsamples_logits_first(size, align_corners):
    logits = logits_of((2, 6, 4, 5), 4)
    label, confidence = pseudo_label(logits, size, align_corners)
    full = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    want = full.softmax(dim=1).max(dim=1)
    assert label.shape == (2, *size)
    assert torch.equal(label, want.indices)
    torch.testing.assert_close(confidence, want.values)


def test_pseudo_label_of_huge_logits():
    logits = logits_of((2, 5, 3, 3), 1e4)
    label, confidence = pseudo_label(logits)
    assert torch.equal(label, logits.argmax(dim=1))
    assert torch.isfinite(confidence).all() and confidence.max() <= 1
    torch.testing.assert_close(confidence, logits.double().softmax(1).amax(1).float())
    assert pseudo_label(torch.full((1, 4, 1, 1), 1e4))[1].item() == pytest.approx(0.25)


def test_pseudo_label_of_half_precision_is_computed_in_float32():
    logits = logits_of((2, 5, 3, 3), 3).bfloat16()
    got, want = pseudo_label(logits, (6, 6)), pseudo_label(logits.float(), (6, 6))
    assert torch.equal(got[0], want[0]) and torch.equal(got[1], want[1])
    assert got[1].dtype == torch.float32


def test_pseudo_label_has_no_graph_and_leaves_its_input():
    logits = logits_of((1, 3, 2, 2)).requires_grad_()
    before = logits.detach().clone()
    _, confidence = pseudo_label(logits)
    assert not confidence.requires_grad
    assert torch.equal(logits, before)


# ---- supervised cross-entropy


@pytest.mark.parametrize('ignore_index', [255, 250])
@pytest.mark.parametrize('shape', [(1, 2, 3, 4), (2, 5, 2, 3)])
def test_cross_entropy_equals_loops_and_gradcheck(shape, ignore_index):
    logits = logits_of(shape, 2).double().requires_grad_()
    label = labels_of((shape[0], *shape[2:]), shape[1], ignore_index=ignore_index)
    assert (label == ignore_index).any() and (label != ignore_index).any()
    got = cross_entropy(logits, label, ignore_index)
    assert got.item() == pytest.approx(
        reference.mean_over_labelled(logits.detach(), label, ignore_index), rel=1e-12
    )
    assert torch.autograd.gradcheck(lambda o: cross_entropy(o, label, ignore_index), logits)


def test_cross_entropy_with_all_ignored_is_zero_with_a_graph():
    logits = logits_of((2, 3, 4, 4)).requires_grad_()
    loss = cross_entropy(logits, torch.full((2, 4, 4), 255))
    loss.backward()
    assert loss == 0 and logits.grad.abs().sum() == 0


@pytest.mark.parametrize('function', ['supervised', 'pseudo'])
def test_cross_entropies_are_float32_under_autocast(function):
    logits, label = logits_of((2, 5, 4, 4), 5).bfloat16(), labels_of((2, 4, 4), 5)
    confidence = torch.ones(2, 4, 4)

    def loss(o):
        if function == 'supervised':
            return cross_entropy(o, label)
        return confident_fraction_cross_entropy(o, label, confidence)

    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = loss(logits)
    assert got.dtype == torch.float32 and got == loss(logits.float())


# ---- cross-entropy to pseudo-labels


@pytest.mark.parametrize('threshold', [0.0, 0.4, 0.968, 1.1])
def test_confident_fraction_equals_loops_and_gradcheck(threshold):
    logits = logits_of((2, 3, 2, 4), 2).double().requires_grad_()
    label = labels_of((2, 2, 4), 3)
    confidence = torch.rand(2, 2, 4, generator=torch.Generator().manual_seed(2))
    confidence[0, 0, 0] = 0.99
    share = reference.confident_share(confidence, threshold)
    assert (share == 1) == (threshold == 0) and (share == 0) == (threshold == 1.1)
    got = confident_fraction_cross_entropy(logits, label, confidence, threshold)
    want = share * reference.weighted_over_all(logits.detach(), label)
    assert got.item() == pytest.approx(want, rel=1e-6)
    assert torch.autograd.gradcheck(
        lambda o: confident_fraction_cross_entropy(o, label, confidence, threshold), logits
    )


def test_a_confidence_at_the_threshold_counts():
    logits, label = logits_of((1, 3, 2, 2)), labels_of((1, 2, 2), 3, ignored=0)
    exact = torch.full((1, 2, 2), 0.5)
    full = confident_fraction_cross_entropy(logits, label, exact, 0.0)
    assert confident_fraction_cross_entropy(logits, label, exact, 0.5) == full > 0


def test_ignored_pixels_stay_in_the_denominator():
    logits = logits_of((1, 3, 4, 4))
    label = torch.full((1, 4, 4), 255)
    label[0, :2] = 1
    confidence = torch.ones(1, 4, 4)
    half = confident_fraction_cross_entropy(logits, label, confidence)
    torch.testing.assert_close(half, cross_entropy(logits, label) / 2)


def test_a_given_fraction_replaces_the_computed_one():
    logits, label = logits_of((2, 3, 4, 4)), labels_of((2, 4, 4), 3)
    nothing = torch.zeros(2, 4, 4)
    assert confident_fraction_cross_entropy(logits, label, nothing) == 0
    got = confident_fraction_cross_entropy(logits, label, nothing, fraction=torch.tensor(0.25))
    assert got.item() == pytest.approx(0.25 * reference.weighted_over_all(logits, label), rel=1e-5)


def test_all_pseudo_labels_ignored_is_zero_with_a_graph():
    logits = logits_of((2, 3, 4, 4)).requires_grad_()
    loss = confident_fraction_cross_entropy(logits, torch.full((2, 4, 4), 255), torch.ones(2, 4, 4))
    loss.backward()
    assert loss == 0 and logits.grad.abs().sum() == 0


# ---- labels at feature size


@pytest.mark.parametrize('dtype', [torch.int64, torch.float32, torch.bool])
@pytest.mark.parametrize('size', [(3, 4), (6, 9), (5, 2)])
def test_downsample_nearest_picks_cells(dtype, size):
    label = labels_of((2, 6, 9), 200).to(dtype)
    got = downsample_nearest(label, size)
    assert got.dtype == dtype and got.shape == (2, *size)
    for y in range(size[0]):
        for x in range(size[1]):
            source = label[:, y * 6 // size[0], x * 9 // size[1]]
            assert torch.equal(got[:, y, x], source)
