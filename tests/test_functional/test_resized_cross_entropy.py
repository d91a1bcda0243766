# Copyright (c) mmseg_ctt contributors.
import sys

import pytest
import torch
import torch.nn.functional as F

from mmseg_ctt.functional import resized_cross_entropy

B, K = 3, 4


def problem(size=(5, 7), full=(18, 27), dtype=torch.float32, scale=3.0):
    g = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(B, K, *size, generator=g, dtype=dtype)
    label = torch.randint(0, K, (B, *full), generator=g)
    label[torch.rand(label.shape, generator=g) < 0.2] = 255
    return logits.requires_grad_(), label


def by_autograd(logits, label, align_corners=False):
    full = F.interpolate(
        logits.double(), label.shape[1:], mode='bilinear', align_corners=align_corners
    )
    return F.cross_entropy(full, label, ignore_index=255, reduction='none').sum((1, 2))


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('full', [(18, 27), (5, 7), (4, 3)])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_value_and_gradient(full, align_corners, layout):
    logits, label = problem(full=full)
    weight = torch.tensor([1.0, -2.0, 0.5])
    given = logits.detach().to(memory_format=layout).requires_grad_()
    got = resized_cross_entropy(given, label, align_corners=align_corners)
    want = by_autograd(logits, label, align_corners)
    torch.testing.assert_close(got.double(), want, rtol=1e-6, atol=1e-6)
    (got * weight).sum().backward()
    (want * weight.double()).sum().backward()
    torch.testing.assert_close(given.grad, logits.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('full', [(18, 27), (5, 7)])
def test_weights_of_pixels(full):
    logits, label = problem(full=full)
    weight = torch.rand(label.shape, generator=torch.Generator().manual_seed(1))
    got = resized_cross_entropy(logits, label, weight=weight.requires_grad_())
    (slope,) = torch.autograd.grad(got.sum(), logits)
    assert weight.grad is None
    large = F.interpolate(logits.double(), full, mode='bilinear', align_corners=False)
    values = F.cross_entropy(large, label, ignore_index=255, reduction='none') * weight.detach()
    torch.testing.assert_close(got.double(), values.sum((1, 2)), rtol=1e-6, atol=1e-6)
    (want,) = torch.autograd.grad(values.sum(), logits)
    torch.testing.assert_close(slope, want, rtol=1e-4, atol=1e-5)


def test_negative_labels_add_nothing():
    logits, label = problem()
    negative = label.masked_fill(label == 255, -1)
    assert torch.equal(
        resized_cross_entropy(logits, negative), resized_cross_entropy(logits, label)
    )


@pytest.mark.parametrize('full', [(9, 11), (4, 5)])
def test_gradcheck(full):
    logits, label = problem((4, 5), full, torch.float64)
    assert torch.autograd.gradcheck(lambda x: resized_cross_entropy(x, label), logits)
    weight = label / 255 + 0.5
    assert torch.autograd.gradcheck(
        lambda x: resized_cross_entropy(x, label, weight=weight), logits
    )


@pytest.mark.parametrize('images', [0.5, 1, 2, 100])
def test_chunks_change_nothing(images, monkeypatch):
    module = sys.modules['mmseg_ctt.functional.resized_cross_entropy']
    logits, label = problem()
    weight = label / 255 + 0.5
    want = resized_cross_entropy(logits, label, weight=weight)
    want.sum().backward()
    gradient, logits.grad = logits.grad, None
    monkeypatch.setattr(module, 'CHUNK_ELEMENTS', int(images * K * label[0].numel()))
    got = resized_cross_entropy(logits, label, weight=weight)
    got.sum().backward()
    assert torch.equal(got, want) and torch.equal(logits.grad, gradient)


def test_logits_stay_as_they_are():
    logits, label = problem(full=(5, 7))
    before = logits.detach().clone()
    resized_cross_entropy(logits, label).sum().backward()
    assert torch.equal(logits, before)


def test_everything_ignored_is_zero_with_a_graph():
    logits, label = problem()
    loss = resized_cross_entropy(logits, torch.full_like(label, 255))
    assert not loss.any()
    loss.sum().backward()
    assert not logits.grad.any()


@pytest.mark.parametrize('scale', [0.0, 1e4])
def test_extreme_logits_are_finite(scale):
    logits, label = problem(scale=scale)
    loss = resized_cross_entropy(logits, label)
    torch.testing.assert_close(loss.double(), by_autograd(logits, label), rtol=1e-5, atol=1e-2)
    loss.sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_float32_under_autocast(dtype):
    logits, label = problem()
    half = logits.detach().to(dtype).requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = resized_cross_entropy(half, label)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, resized_cross_entropy(half.float(), label))
    loss.sum().backward()
    assert half.grad.dtype == dtype
