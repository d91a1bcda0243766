# Copyright (c) mmseg_ctt contributors.
"""Contrast of U2PL: its pixels and its loss."""

import pytest
import torch
from no_sync import record
from reference import u2pl as reference
from u2pl_outputs import DRAWS, LABELED, SIDE, UNLABELED, D, K, N, build, outputs, some_pixels

from mmseg_ctt.methods.u2pl.entropy import EntropyPartition

# ---- which pixels are what


def test_pixels_are_those_of_the_teacher():
    contrast, teacher = build(), outputs()
    with torch.no_grad():
        contrast.projection.outer.bias.add_(1)  # the student's, which is not read
    g = torch.Generator().manual_seed(1)
    truth = torch.randint(0, K, (LABELED, 16, 16), generator=g)
    truth[0, :4] = 255
    target = torch.randint(0, K, (UNLABELED, 16, 16), generator=g)
    order = torch.rand(UNLABELED, 16, 16, generator=g)
    partition = EntropyPartition(order < 0.3, order > 0.7)
    got = contrast.pixels(teacher, truth, target, partition)
    first = LABELED * SIDE**2
    assert torch.equal(
        got.label, torch.cat([truth[:, ::2, ::2].flatten(), target[:, ::2, ::2].flatten()])
    )
    labelled = truth[:, ::2, ::2].flatten() != 255
    assert torch.equal(got.known[:first], labelled) and not got.known[first:].any()
    assert torch.equal(got.low[:first], labelled)
    assert torch.equal(got.low[first:], partition.low[:, ::2, ::2].flatten())
    assert torch.equal(got.unreliable[first:], partition.high[:, ::2, ::2].flatten())
    assert not got.unreliable[:first].any()
    logits = torch.cat([output.logits for output in teacher]).permute(0, 2, 3, 1).reshape(-1, K)
    torch.testing.assert_close(got.prob, logits.softmax(1))
    projected = contrast.teacher_projection(torch.cat([output.embedding for output in teacher]))
    torch.testing.assert_close(got.feature, projected.permute(0, 2, 3, 1).reshape(-1, D))
    assert not got.feature.requires_grad


def test_pooling_comes_before_the_contrast():
    teacher = outputs(side=2 * SIDE)
    truth = torch.zeros(LABELED, 32, 32, dtype=torch.long)
    target = torch.zeros(UNLABELED, 32, 32, dtype=torch.long)
    none = EntropyPartition(target > 0, target > 0)
    got = build(pool=2).pixels(teacher, truth, target, none)
    assert len(got.label) == N and got.feature.shape == (N, D)
    logits = torch.cat([torch.nn.functional.avg_pool2d(output.logits, 2) for output in teacher])
    torch.testing.assert_close(got.prob, logits.permute(0, 2, 3, 1).reshape(-1, K).softmax(1))


# ---- the loss


def recorded(monkeypatch, contrast, student, pixels):
    """The loss, and what it was given."""
    from mmseg_ctt.methods.u2pl import contrast as module

    given, inner = {}, module.unreliable_contrast

    def spy(*args):
        given.update(zip(('query', 'anchor', 'prototype', 'bank', 'negative', 'weight'), args))
        return inner(*args)

    monkeypatch.setattr(module, 'unreliable_contrast', spy)
    return contrast(student, pixels, DRAWS[LABELED:]), given


@pytest.mark.parametrize('classes', [range(K), (1, 3, 4)])
def test_loss_equals_the_formula_with_what_was_drawn(classes, monkeypatch):
    contrast, pixels, student = build(), some_pixels(classes=classes), outputs()
    contrast.update(pixels, DRAWS)
    contrast.bank.count[4] = 0  # its key rule found none
    loss, given = recorded(monkeypatch, contrast, student, pixels)
    weight, prototypes = [0.0] * K, torch.zeros(K, D)
    for c in classes:
        certain = pixels.low & (pixels.label == c) & (pixels.prob[:, c] > 0.3)
        assert certain.any() and certain[given['anchor'][c]].all()
        assert (given['negative'][c] < max(contrast.bank.count[c], 1)).all()
        prototypes[c] = reference.class_mean(pixels.feature, pixels.label, pixels.low, c)
        weight[c] = (c != 4) / len(classes)
    torch.testing.assert_close(given['weight'], torch.tensor(weight))
    present = torch.tensor(list(classes))
    torch.testing.assert_close(given['prototype'][present], prototypes[present])
    rows = contrast.projection(torch.cat([output.embedding for output in student]))
    want = reference.contrast(
        rows.permute(0, 2, 3, 1).reshape(-1, D).double(),
        {c: given['anchor'][c].tolist() for c in classes if c != 4},
        prototypes.double(),
        contrast.bank.features.double(),
        dict(enumerate(given['negative'].tolist())),
        weight,
        0.5,
    )
    torch.testing.assert_close(loss.double(), want, rtol=1e-5, atol=0)
    assert loss > 0


def test_legacy_index_takes_the_list_position_for_the_class(monkeypatch):
    contrast, pixels = build(legacy_index=True), some_pixels(classes=(1, 3, 4))
    contrast.update(pixels, DRAWS)
    _, given = recorded(monkeypatch, contrast, outputs(), pixels)
    # queue 1 meets class 0 (absent), queue 3 class 1, queue 4 class 2 (absent)
    assert given['weight'].tolist() == pytest.approx([0, 0, 0, 1 / 3, 0])
    assert (pixels.label[given['anchor'][3]] == 1).all()
    torch.testing.assert_close(
        given['prototype'][3], reference.class_mean(pixels.feature, pixels.label, pixels.low, 1)
    )


def test_indices_are_equal_where_all_classes_are_present():
    losses = []
    for legacy in (False, True):
        contrast, pixels = build(legacy_index=legacy), some_pixels()
        contrast.update(pixels, DRAWS)
        losses.append(contrast(outputs(), pixels, DRAWS))
    assert losses[0] == losses[1] > 0


@pytest.mark.parametrize(
    'case', ['empty queues', 'no low pixel', 'no anchor', 'one class', 'everything ignored']
)
def test_nothing_to_contrast_is_a_zero_with_a_graph(case):
    contrast, pixels, student = build(), some_pixels(), outputs()
    if case != 'empty queues':
        contrast.update(pixels, DRAWS)
    nothing = torch.zeros(N, dtype=torch.bool)
    if case == 'no low pixel':
        pixels = pixels._replace(low=nothing)
    elif case == 'no anchor':
        pixels = pixels._replace(prob=torch.full((N, K), 0.2))
    elif case == 'one class':
        pixels = pixels._replace(label=torch.full((N,), 2))
    elif case == 'everything ignored':
        pixels = pixels._replace(
            label=torch.full((N,), 255), low=nothing, known=nothing, unreliable=nothing
        )
        contrast.update(pixels, DRAWS)
    loss = contrast(student, pixels, DRAWS)
    assert loss == 0
    loss.backward()
    for leaf in (*[output.embedding for output in student], *contrast.projection.parameters()):
        assert leaf.grad is not None and leaf.grad.abs().sum() == 0


def test_thresholds_of_anchors_and_negatives(monkeypatch):
    contrast, pixels = build(anchor_threshold=0.8), some_pixels()
    contrast.update(pixels, DRAWS)
    _, given = recorded(monkeypatch, contrast, outputs(), pixels)
    found = given['weight'] > 0
    assert found.any() and not found.all()
    for c in found.nonzero().flatten():
        assert (pixels.prob[given['anchor'][c], c] > 0.8).all()
    few, many = (build(size=N, budget=N, negative_threshold=below) for below in (0.01, 1.0))
    for contrast in (few, many):
        contrast.update(pixels, DRAWS)
    assert 0 < few.bank.count.sum() < many.bank.count.sum()


def test_zero_loss_reaches_all_that_the_loss_does():
    contrast, student = build(), outputs()
    zero = contrast.zero_loss(student)
    assert zero == 0
    zero.backward()
    assert all(p.grad is not None for p in contrast.projection.parameters())


def test_fill_ratio():
    contrast = build(size=40, budget=10)
    assert torch.equal(contrast.fill_ratio(), torch.zeros(1, K))
    contrast.update(some_pixels(), DRAWS)
    assert torch.equal(contrast.fill_ratio(), torch.full((1, K), 0.25))


def test_it_does_not_wait_for_full_queues():
    contrast = build()
    assert contrast.active and not contrast.waits and not contrast.required_hooks


@pytest.mark.parametrize('settings', [{}, dict(legacy_index=True, negatives='released')])
def test_no_host_synchronisation(settings):
    contrast, pixels, given = build(**settings), some_pixels(), outputs()

    def step():
        contrast.update(pixels, DRAWS)
        contrast(given, pixels, DRAWS).backward()

    assert record(step) == []
