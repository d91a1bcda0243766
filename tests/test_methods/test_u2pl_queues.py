# Copyright (c) mmseg_ctt contributors.
"""Queues of U2PL."""

import pytest
import torch
from reference import u2pl as reference
from torch.utils._python_dispatch import TorchDispatchMode
from u2pl_outputs import DRAWS, SIDE, D, K, N, build, outputs, some_pixels

from mmseg_ctt.methods.u2pl.contrast import Pixels, UnreliableContrast


@pytest.mark.parametrize('rule', ['paper', 'released'])
def test_queues_get_the_negatives_of_their_class(rule):
    contrast = build(size=N, budget=N, negatives=rule, ranks=(2, 4))
    pixels = some_pixels()
    contrast.update(pixels, DRAWS)
    want = reference.negatives(
        pixels.prob, pixels.label, pixels.known, pixels.unreliable, (2, 4), rule=rule
    )
    assert any(want.values())
    for c, indices in want.items():
        assert contrast.bank.count[c] == len(indices)
        held = contrast.bank.in_order()[c, : len(indices)]
        assert sorted(map(tuple, held.tolist())) == sorted(
            map(tuple, pixels.feature[indices].tolist())
        )


def test_too_many_keys_are_thinned_out_at_random():
    contrast, pixels = build(size=30, budget=10), some_pixels()
    contrast.update(pixels, DRAWS)
    assert contrast.bank.count.tolist() == [10] * K
    again = build(size=30, budget=10)
    again.update(pixels, DRAWS)
    assert torch.equal(again.bank.features, contrast.bank.features)
    other = build(size=30, budget=10)
    other.update(pixels, [(7, 100 + i) for i in range(len(DRAWS))])
    assert not torch.equal(other.bank.features, contrast.bank.features)


def test_a_key_is_chosen_whatever_rank_its_image_is_on():
    """The random numbers belong to the image, not to its place in the batch."""
    pixels, size = some_pixels(), SIDE**2
    whole = build(size=10, budget=10)
    whole.update(pixels, DRAWS)
    order = torch.arange(N).view(-1, size)[[4, 2, 0, 1, 3]].flatten()
    turned = build(size=10, budget=10)
    turned.update(Pixels(*(map_[order] for map_ in pixels)), [DRAWS[i] for i in (4, 2, 0, 1, 3)])
    assert torch.equal(whole.bank.features, turned.bank.features)


def test_no_key_leaves_the_queues_alone():
    contrast, pixels = build(), some_pixels()
    contrast.update(pixels, DRAWS)
    before = {name: value.clone() for name, value in contrast.bank.state_dict().items()}
    nothing = torch.zeros(N, dtype=torch.bool)
    contrast.update(pixels._replace(known=nothing, unreliable=nothing), DRAWS)
    assert all(
        torch.equal(value, before[name]) for name, value in contrast.bank.state_dict().items()
    )


def test_defaults_of_the_queues():
    contrast = UnreliableContrast(K, D, {}, dim=2)
    assert (contrast.bank.size, contrast.bank.budget) == (30000, 1000)
    assert UnreliableContrast(K, D, dict(size=20), dim=2).bank.budget == 20


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that is made anew."""

    def __init__(self, known):
        super().__init__()
        self.known, self.numel = {tensor.untyped_storage().data_ptr() for tensor in known}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for new in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(new, torch.Tensor) and new.untyped_storage().data_ptr() not in self.known:
                self.numel = max(self.numel, new.numel())
        return made


def test_no_step_copies_the_queues():
    contrast, pixels, student = build(size=30000, budget=10), some_pixels(), outputs()
    with Largest(contrast.bank.buffers()) as largest:
        contrast.update(pixels, DRAWS)
        contrast(student, pixels, DRAWS).backward()
    assert contrast.bank.count.sum() > 0
    assert 0 < largest.numel < 30000  # not one number of each key of one class
