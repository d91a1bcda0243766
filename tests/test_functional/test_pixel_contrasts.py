# Copyright (c) mmseg_ctt contributors.
"""Losses of CAC, ReCo and PixCon against restatements, and what is drawn for them."""

import pytest
import torch
from reference import directional as reference

from mmseg_ctt.functional import pixels_by_class
from mmseg_ctt.functional.unit import unit
from mmseg_ctt.methods.cac import functional as cac
from mmseg_ctt.methods.pixcon.functional import summed_positives_contrast
from mmseg_ctt.methods.reco.functional import (
    draw_classes,
    negative_class_probability,
    regional_contrast,
)

K, D, N, V = 4, 5, 12, 9


def random(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def labels(number, seed=0, low=0):
    return torch.randint(low, K, (number,), generator=torch.Generator().manual_seed(seed))


def same_gradient(got, want, leaf):
    torch.testing.assert_close(got, want)
    first, second = (torch.autograd.grad(v, leaf, retain_graph=True)[0] for v in (got, want))
    assert first.abs().sum() > 0
    torch.testing.assert_close(first, second)


# ---- CAC


@pytest.mark.parametrize('rows', [1 << 22, 2 * V])
@pytest.mark.parametrize('temperature', [1.0, 0.01])
def test_pixel_contrast(rows, temperature, monkeypatch):
    monkeypatch.setattr(cac, 'CHUNK_ELEMENTS', rows)
    leaf = random(N, D).requires_grad_()
    query, positive, keys = unit(leaf), unit(random(N, D, seed=1)), unit(random(V, D, seed=2))
    label, key_label = labels(N, 3), labels(V, 4, low=-1)
    assert (key_label < 0).any()
    weight = torch.rand(N, dtype=torch.float64)
    got = cac.pixel_contrast(query, positive, label, keys, key_label, temperature)
    want = torch.stack(
        [
            reference.directional(q, p, c, keys, key_label, temperature)
            for q, p, c in zip(query, positive, label.tolist())
        ]
    )
    same_gradient((got * weight).sum(), (want * weight).sum(), leaf)


def test_without_negatives_it_is_zero():
    leaf = random(N, D).requires_grad_()
    nothing = torch.full((V,), -1)
    loss = cac.pixel_contrast(
        unit(leaf), unit(random(N, D, seed=1)), labels(N), unit(random(V, D)), nothing
    )
    loss.sum().backward()
    assert loss.abs().max() < 1e-12 and leaf.grad.abs().max() < 1e-12


def test_epsilon_bounds_the_loss_and_silences_the_hardest():
    key = torch.tensor([[1.0, 0.0]])
    losses, gradients = [], []
    for epsilon in (0.0, 1e-8):
        query = key.clone().requires_grad_()
        loss = cac.pixel_contrast(
            query, -key, torch.tensor([0]), key, torch.tensor([1]), 0.05, epsilon
        )
        loss.backward(torch.ones(1))
        losses.append(loss.item())
        gradients.append(query.grad.abs().max().item())
    assert losses[0] == pytest.approx(40) and losses[1] == pytest.approx(18.42, abs=0.01)
    assert gradients[0] == pytest.approx(40) and gradients[1] < 1e-6


def test_windows_overlap_and_lie_a_stride_apart():
    noise = torch.rand(500, 17, 2, generator=torch.Generator().manual_seed(0))
    size, window = (96, 130), (48, 64)
    first, second = cac.overlapping_windows(noise, size, window, 8, (0.1, 0.9)).unbind(1)
    for corner in (first, second):
        assert (corner >= 0).all() and (corner + torch.tensor(window) <= torch.tensor(size)).all()
    assert ((first - second) % 8 == 0).all()
    shared = (torch.tensor(window) - (first - second).abs()).clamp(min=0).prod(1)
    iou = shared / (2 * window[0] * window[1] - shared)
    same = (first == second).all(1)
    assert ((iou >= 0.1) & (iou <= 0.9) | same).all() and same.float().mean() < 0.05
    assert {0, 48} <= set(first[:, 0].tolist()) and first[:, 1].max() == 66
    alone = cac.overlapping_windows(noise, size, window, 8, (1.0, 1.0))
    assert torch.equal(alone[:, 0], alone[:, 1])  # nothing else fits
    whole = cac.overlapping_windows(noise, window, window, 8)
    assert (whole == 0).all()


def test_matching_pixels_show_the_same():
    """Two mirrored windows of an image whose pixels are numbered."""
    image = torch.arange(2 * 12 * 16.0).view(2, 1, 12, 16)
    corner = torch.tensor([[[2, 3], [4, 1]], [[0, 8], [4, 0]]])  # two images, two windows
    flip, window = torch.tensor([[True, False], [False, True]]), (8, 8)
    maps = []
    for view in (0, 1):
        crop = cac.crop_windows(image, corner[:, view], window, flip[:, view])
        for b in range(2):
            top, left = corner[b, view].tolist()
            want = image[b, :, top : top + 8, left : left + 8]
            assert torch.equal(crop[b], want.flip(2) if flip[b, view] else want)
        maps.append(cac.flip_back(crop, flip[:, view]).flatten(1))
    index, inside = cac.matching_pixels(corner[:, 0] - corner[:, 1], window)
    assert torch.equal(maps[1].gather(1, index)[inside], maps[0][inside])
    assert inside.sum(1).tolist() == [6 * 6, 0]  # the second image's windows are apart


# ---- ReCo


@pytest.mark.parametrize('temperature', [1.0, 0.1])
def test_regional_contrast(temperature):
    feature = random(N, D).requires_grad_()
    g = torch.Generator().manual_seed(1)
    query = torch.randint(0, N, (K, 3), generator=g)
    negative = torch.randint(0, N, (K, 3, 6), generator=g)
    weight = torch.tensor([0.5, 0.0, 0.2, 0.3], dtype=torch.float64)
    arguments = feature, query, random(K, D, seed=2), negative, weight, temperature
    same_gradient(regional_contrast(*arguments), reference.regional(*arguments), feature)


def test_negative_class_probability():
    prototype, present = random(K, D).float(), torch.tensor([True, False, True, True])
    got = negative_class_probability(prototype, present, 0.5)
    for c in range(K):
        want = reference.class_probability(prototype, present.tolist(), c, 0.5)
        torch.testing.assert_close(got[c], want)
    alone = negative_class_probability(prototype, torch.arange(K) == 2, 0.5)
    assert (alone[2] == 0).all() and (alone[:2, 2] == 1).all()
    zeros = negative_class_probability(torch.zeros(K, D), present, 0.5)
    assert zeros[1].tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])


def test_classes_are_drawn_by_their_probability():
    probability = torch.tensor([[0.0, 0.25, 0.75, 0.0], [0, 0, 0, 0], [1.0, 0, 0, 0]])
    noise = torch.rand(3, 4000, generator=torch.Generator().manual_seed(0))
    noise[:, 0], noise[:, 1] = 0, 1 - 2**-24
    drawn = draw_classes(probability, noise)
    assert drawn[0, :2].tolist() == [1, 2]
    count = drawn[0].bincount(minlength=4)
    assert count[0] == count[3] == 0 and count[1] / 4000 == pytest.approx(0.25, abs=0.03)
    assert (drawn[1:] == 0).all()


def test_pixels_are_drawn_of_their_class():
    label, valid = torch.tensor([2, 0, 1, 2, 2, 9]), torch.tensor([1, 1, 0, 1, 1, 0]).bool()
    pixels = pixels_by_class(label, valid, 3)
    assert pixels.number.tolist() == [1, 0, 3] and pixels.start.tolist() == [0, 1, 1]
    noise = torch.rand(2, 300, generator=torch.Generator().manual_seed(0))
    drawn = pixels.draw(torch.tensor([[0], [2]]), noise)
    assert (drawn[0] == 1).all() and set(drawn[1].tolist()) == {0, 3, 4}


# ---- PixCon


@pytest.mark.parametrize('temperature', [1.0, 0.1])
def test_summed_positives(temperature):
    leaf = random(N, D).requires_grad_()
    anchor, bank = unit(leaf), unit(random(K, V, D, seed=1))
    filled = torch.rand(K, V, generator=torch.Generator().manual_seed(2)) < 0.6
    filled[1] = False
    label, valid = labels(N), torch.arange(N) % 5 > 0
    assert (label[valid] == 1).any()
    got = summed_positives_contrast(anchor, label, bank, filled, temperature, valid)
    counted = torch.where(valid, label, -1).tolist()
    want = reference.summed_positives(anchor, counted, bank, filled, temperature)
    same_gradient(got, want, leaf)


@pytest.mark.parametrize('seen', [True, False])
def test_nothing_to_contrast_is_a_zero_in_the_graph(seen):
    leaf = random(N, D).requires_grad_()
    filled = torch.full((K, V), seen)
    valid = torch.full((N,), not seen)
    loss = summed_positives_contrast(
        unit(leaf), labels(N), unit(random(K, V, D)), filled, 0.1, valid
    )
    loss.backward()
    assert loss == 0 and leaf.grad.abs().sum() == 0
