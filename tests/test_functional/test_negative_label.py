# Copyright (c) mmseg_ctt contributors.
"""Pseudo-negative labels against loops, and their corners."""

import itertools
import math
from collections import Counter

import pytest
import torch
from reference import negative_label as reference

from mmseg_ctt.methods.dual_negative.functional import (
    negative_classes,
    negative_label_loss,
    negative_ramp,
    stable,
)


def scene(shape=(30, 6), seed=0, scale=3.0, share=0.7):
    """Logits, 1 to K - 1 negative classes an item, and which items count."""
    g = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(shape, generator=g)
    negative = torch.rand(shape, generator=g) < 0.4
    negative[:, 0] |= ~negative.any(dim=1)
    valid = torch.rand(shape[0], *shape[2:], generator=g) < share
    return logits, negative, valid


def rows(tensor):
    """``(B, K, H, W)`` or ``(N, K)`` to a list of items."""
    return tensor.movedim(1, -1).flatten(0, -2).tolist()


# ---- loss


@pytest.mark.parametrize('shape', [(100, 10), (30, 2), (1, 7), (2, 5, 4, 3), (3, 19, 1, 1)])
@pytest.mark.parametrize('masked', [True, False])
def test_loss_equals_loops(shape, masked):
    logits, negative, valid = scene(shape)
    valid = valid if masked else None
    want = reference.loss(
        rows(logits), rows(negative), valid.flatten().tolist() if masked else None
    )
    got = negative_label_loss(logits, negative, valid)
    assert got.item() == pytest.approx(want, rel=1e-5, abs=1e-7)
    assert negative_label_loss(logits, negative.long(), valid) == got
    assert negative_label_loss(logits.double(), negative, valid).item() == pytest.approx(
        want, rel=1e-12, abs=1e-15
    )


@pytest.mark.parametrize('scale', [10.0, 40.0])
def test_float32_keeps_its_digits_where_a_negative_class_is_certain(scale):
    logits, _, _ = scene(scale=scale)
    certain = logits.argmax(1, keepdim=True) == torch.arange(logits.shape[1])
    results = []
    for dtype in (torch.float32, torch.float64):
        leaf = logits.clone().to(dtype).requires_grad_()
        loss = negative_label_loss(leaf, certain)
        loss.backward()
        results.append((loss.double(), leaf.grad.double()))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-7)


def test_gradcheck():
    logits, negative, valid = scene((6, 4), scale=1.5)
    logits = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda o: negative_label_loss(o, negative, valid), logits)


def test_gradient_pushes_the_negative_classes_down_and_no_other_item():
    logits, negative, valid = scene()
    logits.requires_grad_()
    negative_label_loss(logits, negative, valid).backward()
    assert (logits.grad[valid][negative[valid]] > 0).any()
    assert (logits.grad[valid][~negative[valid]] <= 0).all()
    assert (logits.grad[~valid] == 0).all() and not valid.all()


@pytest.mark.parametrize('case', ['no item', 'no negative', 'no image'])
def test_nothing_selected_is_a_zero_in_the_graph(case):
    logits, negative, valid = scene()
    if case == 'no image':
        logits, negative, valid = logits[:0], negative[:0], valid[:0]
    elif case == 'no item':
        valid = torch.zeros_like(valid)
    else:
        negative = torch.zeros_like(negative)
    logits.requires_grad_()
    loss = negative_label_loss(logits, negative, valid)
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


@pytest.mark.parametrize('scale', [1e3, 1e4])
def test_certain_networks_give_finite_values(scale):
    logits, negative, valid = scene(scale=scale)
    logits.requires_grad_()
    loss = negative_label_loss(logits, negative, valid)
    loss.backward()
    assert 0 < loss <= -math.log(1e-6) * 1.01
    assert torch.isfinite(logits.grad).all()


def test_count_is_the_divisor():
    logits, negative, valid = scene()
    twice = 2.0 * valid.sum()
    torch.testing.assert_close(
        negative_label_loss(logits, negative, valid, count=twice),
        negative_label_loss(logits, negative, valid) / 2,
    )
    none = torch.zeros_like(valid)
    assert negative_label_loss(logits, negative, none, count=torch.zeros(())) == 0


def test_autocast_is_float32():
    logits, negative, valid = scene()
    logits = logits.bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = negative_label_loss(logits, negative, valid)
    assert loss.dtype == torch.float32
    assert loss == negative_label_loss(logits.float(), negative, valid)


def test_eps_must_be_positive():
    with pytest.raises(ValueError, match='eps'):
        negative_label_loss(*scene()[:2], eps=0)


# ---- which classes


@pytest.mark.parametrize('shape', [(40, 6), (2, 5, 4, 3), (30, 3)])
@pytest.mark.parametrize('number, exclude', [(1, 1), (2, 1), (1, 2), (3, 2), (4, 1)])
@pytest.mark.parametrize('selection', ['distinct', 'replacement', 'rank'])
def test_classes_equal_loops(shape, number, exclude, selection):
    k = shape[1]
    if number + exclude > k:
        with pytest.raises(ValueError, match=f'num_negatives={number}.*exclude={exclude}.*{k}'):
            negative_classes(torch.rand(shape), number, selection, exclude)
        return
    g = torch.Generator().manual_seed(2)
    scores = torch.randn(shape, generator=g)
    noise = torch.rand(shape[0], number, *shape[2:], generator=g)
    mask = negative_classes(scores, number, selection, exclude, noise)
    assert mask.dtype == torch.bool and mask.shape == scores.shape
    for got, item, random in zip(rows(mask), rows(scores), rows(noise)):
        want = (
            reference.lowest(item, number)
            if selection == 'rank'
            else reference.drawn(item, random, exclude, selection == 'replacement')
        )
        assert {c for c in range(k) if got[c]} == want


@pytest.mark.parametrize('selection', ['distinct', 'replacement', 'rank'])
@pytest.mark.parametrize('noise', [0.0, 1 - 2**-24])
def test_never_the_first_choices_even_at_the_ends_and_in_ties(selection, noise):
    for k, exclude in itertools.product((3, 5, 17, 21), (1, 2)):
        random = torch.full((4, 1, 2, 2), noise)
        for scores in (torch.zeros(4, k, 2, 2), torch.randn(4, k, 2, 2)):
            mask = negative_classes(scores, 1, selection, exclude, random)
            first = (
                scores.argmax(1, keepdim=True)
                if exclude == 1
                else scores.topk(exclude, dim=1).indices
            )
            assert not mask.gather(1, first).any()
            assert (mask.sum(1) == 1).all()


def test_every_class_and_pair_is_equally_likely():
    """All pairs of the four classes that are left, and with replacement all ordered pairs."""
    torch.manual_seed(0)
    scores = torch.zeros(12000, 5)
    scores[:, 2] = 1
    pairs = Counter(tuple(row.nonzero().flatten().tolist()) for row in negative_classes(scores, 2))
    assert set(pairs) == set(itertools.combinations([0, 1, 3, 4], 2))
    assert all(abs(n - 2000) < 200 for n in pairs.values())  # 5 standard deviations
    repeated = negative_classes(scores, 2, 'replacement').sum(1)
    assert abs((repeated == 1).sum() - 3000) < 250 and repeated.min() == 1


@pytest.mark.parametrize(
    'settings, word',
    [
        (dict(selection='random'), 'selection'),
        (dict(number=0), 'num_negatives'),
        (dict(exclude=0), 'exclude'),
        (dict(number=5), 'number of classes, 5'),
    ],
)
def test_bad_settings(settings, word):
    with pytest.raises(ValueError, match=word):
        negative_classes(torch.rand(3, 5), **settings)


# ---- trust and schedule


def test_stable_items_equal_the_released_rule():
    g = torch.Generator().manual_seed(1)
    label, other = torch.randint(0, 3, (2, 200), generator=g)
    confidence, sure = torch.rand(2, 200, generator=g)
    got = stable(label, confidence, other, sure, 0.8)
    unstable = reference.untrusted(
        label.tolist(), confidence.tolist(), other.tolist(), sure.tolist(), 0.8
    )
    assert (~got).nonzero().flatten().tolist() == unstable
    assert 0 < len(unstable) < 200


def test_ramp_is_the_released_weight_relative_to_its_end():
    end = reference.released_weight(15)
    assert end == pytest.approx(2, rel=0.02)
    for epoch in range(16):
        assert negative_ramp(epoch / 100) == pytest.approx(reference.released_weight(epoch) / end)
    assert negative_ramp(0.16) == negative_ramp(1.0) == 1
    assert negative_ramp(0.0, 0.0) == negative_ramp(0.5, 0.0) == 1
    assert negative_ramp(0.2, 0.4) < negative_ramp(0.3, 0.4) < 1


# ---- image classification, as published


def test_two_classifiers_teach_each_other_what_an_image_is_not():
    """Batches of 100 images of ten classes, half labelled, on two networks and two views."""
    torch.manual_seed(0)
    centres = 3 * torch.randn(10, 16)
    nets = [torch.nn.Linear(16, 10) for _ in range(2)]
    optimizer = torch.optim.SGD([p for net in nets for p in net.parameters()], lr=0.1)
    terms = []
    for step in range(60):
        label = torch.arange(100) % 10
        views = [centres[label] + torch.randn(100, 16) for _ in range(2)]
        logits = [net(views[i]) for i, net in enumerate(nets)]
        negatives = [negative_classes(logits[1 - i].detach(), 2, 'replacement') for i in (0, 1)]
        negative = [negative_label_loss(logits[i][50:], negatives[i][50:]) for i in (0, 1)]
        supervised = [torch.nn.functional.cross_entropy(one[:50], label[:50]) for one in logits]
        weight = 2 * negative_ramp(step / 60)
        optimizer.zero_grad()
        (sum(supervised) + weight * sum(negative)).backward()
        optimizer.step()
        terms.append(sum(negative).item())
    assert sum(terms[-10:]) < 0.2 * sum(terms[:10])
    accuracy = (logits[0][50:].argmax(1) == label[50:]).float().mean()
    assert accuracy > 0.9
