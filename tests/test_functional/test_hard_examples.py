# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import distances as reference

from mmseg_ctt.functional import cross_entropy, ohem_cross_entropy


def problem(size=(5, 6), full=(5, 6), ignored=0.2, dtype=torch.float32):
    g = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 4, *size, generator=g, dtype=dtype)
    label = torch.randint(0, 4, (2, *full), generator=g)
    label[torch.rand(label.shape, generator=g) < ignored] = 255
    return logits.requires_grad_(), label


@pytest.mark.parametrize('threshold', [0.0, 0.05, 0.7, 1.0])
@pytest.mark.parametrize('min_kept', [0, 1, 20, 45, 10**6])
def test_equals_loops(threshold, min_kept):
    logits, label = problem()
    got = ohem_cross_entropy(logits, label, threshold, min_kept)
    want = reference.hard_examples(logits.detach().numpy(), label.numpy(), threshold, min_kept)
    assert got.item() == pytest.approx(want, rel=1e-5)


def test_easy_pixels_get_no_gradient():
    logits, label = problem(ignored=0)
    ohem_cross_entropy(logits, label, threshold=0.0, min_kept=7).backward()
    assert logits.grad.abs().sum(1).gt(0).sum() == 7


def test_few_labels_count_all():
    logits, label = problem()
    labeled = int((label != 255).sum())
    assert ohem_cross_entropy(logits, label, 0.0, labeled + 1) == cross_entropy(logits, label)
    assert ohem_cross_entropy(logits, label, 0.0, labeled // 2) > cross_entropy(logits, label)


def test_logits_may_be_smaller_than_the_label():
    logits, label = problem(full=(11, 13))
    large = F.interpolate(logits, (11, 13), mode='bilinear', align_corners=False)
    torch.testing.assert_close(
        ohem_cross_entropy(logits, label, 0.3, 40), ohem_cross_entropy(large, label, 0.3, 40)
    )


@pytest.mark.parametrize('nothing', ['label', 'pixel'])
def test_nothing_labelled_is_zero_with_a_graph(nothing):
    logits, label = problem()
    if nothing == 'label':
        label = torch.full_like(label, 255)
    else:
        logits, label = logits.detach()[:0].requires_grad_(), label[:0]
    loss = ohem_cross_entropy(logits, label)
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def test_half_precision_is_computed_in_float32():
    logits, label = problem(full=(11, 13))
    half = logits.detach().bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        got = ohem_cross_entropy(half, label, 0.3, 40)
    assert got.dtype == torch.float32
    assert got == ohem_cross_entropy(half.float(), label, 0.3, 40)


def test_negative_labels_are_ignored():
    logits, label = problem()
    negative = label.masked_fill(label == 255, -1)
    for function in (cross_entropy, lambda o, c: ohem_cross_entropy(o, c, 0.3, 20)):
        assert function(logits, negative) == function(logits, label)


def test_nothing_waits_for_the_device():
    logits, label = problem(full=(11, 13))
    assert record(lambda: ohem_cross_entropy(logits, label, 0.3, 40).backward()) == []
