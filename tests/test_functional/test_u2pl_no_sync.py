# Copyright (c) mmseg_ctt contributors.
"""Functions of U2PL read nothing back to the host."""

import pytest
import torch
from no_sync import record

from mmseg_ctt import functional

K, N, D = 5, 40, 6


def calls():
    g = torch.Generator().manual_seed(0)
    label = torch.randint(0, K, (N,), generator=g)
    prob = torch.randn(N, K, generator=g).softmax(1)
    some = torch.rand(N, generator=g) < 0.5
    feature = torch.randn(N, D, generator=g).requires_grad_()
    bank = torch.randn(K, 7, D, generator=g)
    logits = torch.randn(2, K, 4, 4, generator=g).requires_grad_()
    maps = torch.randint(0, K, (2, 4, 4), generator=g)
    noise = torch.rand(K, 4, 3, generator=g)
    yield lambda: functional.entropy_partition(functional.pixel_entropy(logits, (8, 8)), 20)
    yield lambda: functional.reliable_cross_entropy(logits, maps, maps > 1).backward()
    yield lambda: functional.negative_candidates(prob, label, some, ~some)
    yield lambda: functional.class_sums(feature, label, some, K)
    yield lambda: functional.draw_per_class(label, some, K, noise[..., 0])
    yield lambda: functional.best_per_class(prob.t() > 0.1, noise.flatten()[:N], 7)
    yield lambda: functional.unreliable_contrast(
        feature,
        functional.draw_per_class(label, some, K, noise[..., 0])[0],
        bank[:, 0],
        bank,
        functional.draw_index(torch.full_like(noise, 7).long(), noise),
        bank[:, 0, 0],
    ).backward()


@pytest.mark.parametrize('call', list(calls()))
def test_functions(call):
    assert record(call) == []
