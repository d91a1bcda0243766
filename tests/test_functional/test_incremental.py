# Copyright (c) mmseg_ctt contributors.
"""Scores, pseudo-labels and losses of WILSON against a restatement with loops."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference import wilson as slow

from mmseg_ctt import functional
from mmseg_ctt.methods.wilson import functional as wilson
from mmseg_ctt.methods.wilson import losses

B, T, OLD, H, W = 3, 5, 2, 4, 5


@pytest.fixture
def data():
    g = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(B, T, H, W, generator=g)
    old = torch.rand(B, OLD, H, W, generator=g)
    tags = torch.tensor([[0, 0, 1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 1, 1]]).float()
    valid = torch.rand(B, H, W, generator=g) < 0.7
    return logits, old, tags, valid


def arrays(*maps):
    return [None if m is None else m.double().numpy() for m in maps]


def of_images(function, *maps):
    """A restatement of each image; None where all images have none."""
    return [function(*(None if m is None else m[i] for m in maps)) for i in range(B)]


VALID = pytest.mark.parametrize('masked', [False, True])


def given(valid, masked):
    """What the function gets, and what the restatement gets."""
    every = torch.ones_like(valid)
    return (valid, valid.numpy()) if masked else (None, every.numpy())


@VALID
@pytest.mark.parametrize('eps, focal, gamma, floor', [(1, True, 3, 0.01), (1e-3, False, 2, 0.1)])
def test_pooled_scores(data, masked, eps, focal, gamma, floor):
    logits, _, _, valid = data
    mask, known = given(valid, masked)
    got = wilson.pooled_scores(logits, eps, focal, gamma, floor, mask)
    want = [
        slow.pooled_scores(z, eps, focal, gamma, floor, v)
        for z, v in zip(logits.double().numpy(), known)
    ]
    np.testing.assert_allclose(got.numpy(), np.stack(want), rtol=1e-5)


def test_classification_loss(data):
    logits, _, tags, _ = data
    scores = wilson.pooled_scores(logits)
    for first in (1, OLD):
        new = scores[:, first:], tags[:, first:]
        got = losses.classification_loss(scores, tags[:, first:])
        torch.testing.assert_close(got, F.binary_cross_entropy_with_logits(*new))
        summed = losses.classification_loss(scores, tags[:, first:], 'sum')
        torch.testing.assert_close(summed, got * (T - first))


@VALID
def test_losses_of_the_old_network(data, masked):
    logits, old, _, valid = data
    mask, known = given(valid, masked)
    got = losses.localisation_loss(logits, old, mask)
    want = of_images(slow.localisation_loss, *arrays(logits, old), known)
    assert got.item() == pytest.approx(np.mean(want), rel=1e-5)
    got = losses.feature_loss(logits, logits.flip(0), mask)
    want = of_images(slow.feature_loss, *arrays(logits, logits.flip(0)), known)
    assert got.item() == pytest.approx(np.mean(want), rel=1e-5)


def test_tagged_only(data):
    logits, _, tags, _ = data
    mask = logits.softmax(1)
    got = wilson.tagged_only(mask, tags)
    assert torch.equal(got[:, 0], mask[:, 0]) and not got[:, 1].any()
    assert torch.equal(got[0, 2], mask[0, 2]) and not got[0, 3].any()


@pytest.mark.parametrize('settings', [(0.6, 0.7, 0.2, True), (0.3, 0.5, 0.05, False)])
def test_hard_map(data, settings):
    logits, _, tags, _ = data
    mask = wilson.tagged_only(logits.softmax(1), tags)
    got = wilson.hard_map(mask, *settings)
    want = of_images(lambda m: slow.hard_map(m, *settings), mask.numpy())
    assert np.array_equal(got.numpy(), np.stack(want)) and got.any() and not got.all()


def test_hard_map_of_a_part():
    """Padding sets no threshold and is of no class."""
    mask = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    valid = torch.zeros(2, 6, 8, dtype=torch.bool)
    valid[..., :5] = True
    mask[..., 5:] = 9.0
    got = wilson.hard_map(mask, valid=valid)
    assert torch.equal(got[..., :5], wilson.hard_map(mask[..., :5])) and not got[..., 5:].any()


@pytest.mark.parametrize('alpha, blend', [(0.5, None), (1.0, 0.0), (0.9, 0.3), (0.0, 1.0)])
def test_targets(data, alpha, blend):
    logits, old, tags, _ = data
    mask = wilson.tagged_only(logits.softmax(1), tags)
    mask[0, :, 0, 0] = 0.2  # all classes are equal
    soft = wilson.soft_target(mask, alpha)
    want = np.stack(of_images(lambda m: slow.soft_target(m, alpha), mask.numpy()))
    np.testing.assert_allclose(soft.numpy(), want, rtol=1e-6)
    got = wilson.segmentation_target(old, soft, blend)
    want = of_images(lambda o, s: slow.segmentation_target(o, s, blend), old.numpy(), soft.numpy())
    np.testing.assert_allclose(got.numpy(), np.stack(want), rtol=1e-6)


@VALID
@pytest.mark.parametrize('soft', [False, True])
def test_balanced_cross_entropy(data, masked, soft):
    logits, _, tags, valid = data
    mask, known = given(valid, masked)
    probability = wilson.tagged_only(logits.softmax(1), tags)
    claimed = wilson.hard_map(probability, 0.5, 0.5, 0.05)
    mass = probability if soft else None
    got = losses.balanced_cross_entropy(logits, claimed, tags[:, 1:], mass, mask)
    want = of_images(
        slow.balanced_cross_entropy, *arrays(logits, claimed, tags[:, 1:], mass), known
    )
    assert got.loss.item() == pytest.approx(np.mean(want), rel=1e-5)
    assert got.loss > 0 and all(value == 0 or kept for value, kept in zip(want, got.kept))


@VALID
def test_soft_segmentation_loss(data, masked):
    logits, old, tags, valid = data
    mask, known = given(valid, masked)
    soft = wilson.soft_target(wilson.tagged_only(logits.softmax(1), tags), 0.5)
    target = wilson.segmentation_target(old, soft)
    got = losses.soft_segmentation_loss(-logits, target, mask)
    want = of_images(slow.soft_segmentation_loss, *arrays(-logits, target), known)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-5)


def test_images_whose_tags_are_met(data):
    """Of the hard labels alone: soft ones have some mass of every tagged class."""
    logits, _, tags, _ = data
    mask = wilson.tagged_only(logits.softmax(1), tags)
    mask[0, 4] *= 1e-4
    new = tags[:, OLD:]
    assert losses.tags_are_met(wilson.soft_target(mask, 0.5), new).all()
    assert losses.tags_are_met(wilson.soft_target(mask, 1.0), new).tolist()[0] is False
    kept = torch.tensor([True, False, True])
    values = torch.tensor([1.0, 7.0, 3.0])
    assert losses.mean_of_kept(values, kept).item() == pytest.approx(2, rel=1e-4)
    assert losses.mean_of_kept(values, kept & False) == 0


def test_padding_alone_gives_zeros(data):
    logits, old, tags, valid = data
    logits.requires_grad_()
    nothing = valid & False
    claimed = torch.ones_like(logits)
    total = losses.balanced_cross_entropy(logits, claimed, tags[:, 1:], None, nothing).loss
    total = total + losses.localisation_loss(logits, old, nothing)
    total = total + losses.soft_segmentation_loss(logits, logits.sigmoid(), nothing).sum()
    assert total == 0
    wilson.pooled_scores(logits, valid=nothing).sum().backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize('double', [False, True])
def test_sigmoid_cross_entropy(double):
    g = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 4, 3, 5, generator=g, dtype=torch.double if double else None)
    logits.requires_grad_()
    label = torch.randint(0, 4, (2, 6, 10), generator=g)
    label[0, :2] = 255
    large = F.interpolate(logits, (6, 10), mode='bilinear')
    known = label != 255
    onehot = F.one_hot(label.masked_fill(~known, 0), 4).permute(0, 3, 1, 2).to(logits)
    each = F.binary_cross_entropy_with_logits(large, onehot, reduction='none').sum(1)
    for over_all, want in ((False, each[known].mean()), (True, (each * known).mean())):
        got = functional.sigmoid_cross_entropy(logits, label, over_all=over_all)
        torch.testing.assert_close(got, want)
        grads = [torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (got, want)]
        torch.testing.assert_close(*grads)
    ignored = functional.sigmoid_cross_entropy(logits, torch.full_like(label, 255))
    assert ignored == 0 and ignored.requires_grad
