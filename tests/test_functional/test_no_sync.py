# Copyright (c) mmseg_ctt contributors.
"""Nothing on the path of a step may wait for the device: no value is read back to the host."""

import pytest
import torch
from no_sync import record
from test_compile import NAMES, cases, results

import mmseg_ctt.functional as functional


@pytest.mark.parametrize(
    'bad',
    [
        lambda t: t.sum().item(),
        lambda t: t[t > 0],
        lambda t: t.nonzero(),
        lambda t: bool(t.any()),
        lambda t: t.masked_select(t > 0),
        lambda t: t.new_tensor(3.0),
    ],
)
def test_the_recorder_notices(bad):
    assert record(lambda: bad(torch.arange(4.0)))


def inputs():
    g = torch.Generator().manual_seed(0)
    query = torch.randn(30, 6, generator=g).requires_grad_()
    label = torch.randint(0, 4, (30,), generator=g)
    valid = torch.rand(30, generator=g) < 0.5
    bank = torch.randn(4, 3, 6, generator=g)
    filled = torch.rand(4, 3, generator=g) < 0.8
    image = torch.randn(2, 3, 8, 8, generator=g)
    maps = torch.randint(0, 4, (2, 8, 8), generator=g)
    logits = torch.randn(2, 4, 4, 4, generator=g).requires_grad_()
    return query, label, valid, bank, filled, image, maps, logits


def calls():
    query, label, valid, bank, filled, image, maps, logits = inputs()
    for t in (0.01, 0.1):
        for known in (None, filled):
            yield lambda t=t, known=known: functional.high_level_contrast(
                query, label, bank, t, valid, known
            ).backward()
            yield lambda t=t, known=known: functional.low_level_contrast(
                query, query, label, bank, t, valid, known
            ).backward()
    upsampled = torch.randn(2, 4, 8, 8, requires_grad=True)
    yield lambda: functional.pseudo_label(logits, (8, 8))
    yield lambda: functional.cross_entropy(upsampled, maps).backward()
    yield lambda: functional.confident_fraction_cross_entropy(
        upsampled, maps, torch.rand(2, 8, 8)
    ).backward()
    yield lambda: functional.mix(image, functional.class_mix_mask(maps))
    yield lambda: functional.mix(maps, functional.cut_mix_mask(maps))
    yield lambda: functional.downsample_nearest(maps, (4, 4))
    yield lambda: functional.select_per_class(label, torch.rand(30), valid, 4, 3)
    yield lambda: functional.ema_update_([torch.zeros(3)], [torch.ones(3)], 0.5)


@pytest.mark.parametrize('call', list(calls()))
def test_functional_core(call):
    assert record(call) == []


@pytest.mark.parametrize('name', NAMES)
def test_every_function(name):
    case = cases()[name]
    assert record(lambda: results(*case)) == []
