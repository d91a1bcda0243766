# Copyright (c) mmseg_ctt contributors.
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference import u2pl as reference

from mmseg_ctt.functional import prediction_entropy
from mmseg_ctt.methods.u2pl.entropy import (
    drop_percent,
    entropy_partition,
    percentiles,
    pixel_entropy,
)


def random_logits(*shape, seed=0, scale=3.0, dtype=torch.float32):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_entropy_of_every_pixel():
    logits = random_logits(2, 5, 3, 4, dtype=torch.float64)
    got = pixel_entropy(logits)
    prob = logits.softmax(1)
    for b, y, x in np.ndindex(2, 3, 4):
        assert got[b, y, x].item() == pytest.approx(
            reference.entropy(prob[b, :, y, x].tolist()), rel=1e-12
        )


def test_entropy_is_taken_after_up_sampling():
    logits = random_logits(2, 5, 3, 4)
    got = pixel_entropy(logits, (6, 9), align_corners=True)
    large = F.interpolate(logits, (6, 9), mode='bilinear', align_corners=True)
    torch.testing.assert_close(got, pixel_entropy(large))
    assert not torch.allclose(got, pixel_entropy(logits, (6, 9)))


def test_entropy_with_a_gradient():
    logits = random_logits(1, 3, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.equal(prediction_entropy(logits), pixel_entropy(logits))
    assert torch.autograd.gradcheck(lambda x: prediction_entropy(x, (3, 3)), logits)
    extreme = (1e4 * logits.detach().float()).requires_grad_()
    prediction_entropy(extreme).sum().backward()
    assert torch.isfinite(extreme.grad).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_entropy_of_half_precision_is_float32(dtype):
    logits = random_logits(1, 4, 2, 2).to(dtype)
    got = pixel_entropy(logits)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, pixel_entropy(logits.float()))


def test_entropy_of_extremes():
    logits = torch.zeros(1, 4, 1, 3)
    logits[0, 1, 0, 1] = 1e4  # sure; exp overflows in float32
    logits[0, 2:, 0, 2] = -1e4
    got = pixel_entropy(logits).flatten().tolist()
    assert got == pytest.approx([math.log(4), 0, math.log(2)], abs=1e-6)


def test_entropy_gives_no_gradient_and_leaves_the_logits_alone():
    logits = random_logits(1, 4, 2, 2).requires_grad_()
    before = logits.detach().clone()
    assert not pixel_entropy(logits).requires_grad
    assert torch.equal(logits.detach(), before)


@pytest.mark.parametrize('number', [1, 2, 3, 10, 101])
@pytest.mark.parametrize('percent', [0, 7.3, 20, 50, 80, 92.5, 100])
def test_percentiles_are_those_of_numpy(number, percent):
    values = torch.rand(number + 5, generator=torch.Generator().manual_seed(number))
    values[:: (number + 5) // 5][:5] = torch.inf
    kept = values[values.isfinite()].numpy()
    (got,) = percentiles(values, (percent,))
    assert got.item() == pytest.approx(np.percentile(kept.astype(np.float64), percent), rel=1e-6)


def test_percentiles_of_nothing_are_not_finite():
    nothing = torch.full((4,), torch.inf)
    assert not any(torch.isfinite(one) for one in percentiles(nothing, (20, 80)))


@pytest.mark.parametrize('percent', [0, 5, 20, 50])
def test_both_ends(percent):
    entropy = pixel_entropy(random_logits(2, 6, 5, 7))
    valid = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(1)) < 0.7
    got = entropy_partition(entropy, percent, valid)
    low, high = reference.ends(entropy.flatten().numpy(), valid.flatten().numpy(), percent)
    assert got.low.flatten().nonzero().flatten().tolist() == low
    assert got.high.flatten().nonzero().flatten().tolist() == high
    assert low and high


def test_partition_of_a_constant_is_everything_at_both_ends():
    got = entropy_partition(torch.ones(1, 3, 3), 20)
    assert got.low.all() and got.high.all()


def test_partition_of_nothing_is_empty():
    got = entropy_partition(torch.rand(1, 3, 3), 20, torch.zeros(1, 3, 3, dtype=torch.bool))
    assert not got.low.any() and not got.high.any()


def test_percentiles_of_gathered_entropies():
    one, two = torch.rand(1, 4, 4), 2 + torch.rand(1, 4, 4)
    both = entropy_partition(torch.cat([one, two]), 20)
    rank = entropy_partition(one, 20, gather=lambda mine: torch.cat([mine, two.flatten()]))
    assert torch.equal(rank.low, both.low[:1]) and torch.equal(rank.high, both.high[:1])
    assert not torch.equal(entropy_partition(one, 20).high, rank.high)


def test_share_of_unreliable_pixels_falls_to_nothing():
    assert [drop_percent(t, 30) for t in (0, 0.5, 1)] == [30, 15, 0]


@pytest.mark.parametrize('percent', [-1, 50.1])
def test_ends_that_would_overlap(percent):
    with pytest.raises(ValueError, match=r'percent must lie in \[0, 50\]'):
        entropy_partition(torch.rand(1, 2, 2), percent)
