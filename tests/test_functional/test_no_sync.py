# Copyright (c) mmseg_ctt contributors.
"""Nothing on the path of a step may wait for the device: no value is read back to the host."""

import pytest
import torch
from test_compile import NAMES, cases, results
from torch.utils._python_dispatch import TorchDispatchMode

import mmseg_ctt.functional as functional
from mmseg_ctt.methods.ctt.contrast import CrossContrast
from mmseg_ctt.nn.member import PixelOutput
from mmseg_ctt.nn.memory_bank import ClassMemoryBank

READS_BACK = ('_local_scalar_dense', 'item', 'nonzero', 'masked_select', 'unique', 'is_nonzero')


class Recorder(TorchDispatchMode):
    """Names of the operations that would wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.waiting, self.seen = [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        by_mask = name in ('index', 'index_put', 'index_put_') and any(
            i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]
        )
        from_host = name == 'lift_fresh'  # a tensor made from Python numbers is copied over
        if any(name.startswith(bad) for bad in READS_BACK) or by_mask or from_host:
            self.waiting.append(str(function))
        self.seen += 1
        return function(*args, **(kwargs or {}))


def record(function):
    with Recorder() as recorder:
        function()
    assert recorder.seen > 0
    return recorder.waiting


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


@pytest.mark.parametrize('ranking', ['confidence', 'random'])
def test_bank(ranking):
    bank = ClassMemoryBank(4, size=3, dim=6, ranking=ranking)
    query, label, valid, *_ = inputs()
    assert record(lambda: bank.push(query, label, torch.rand(30), valid, 2)) == []
    assert bank.count.sum() > 0
    assert record(bank.in_order) == []


@pytest.mark.parametrize('confidence', ['teacher', 'student'])
def test_cross_contrast(confidence):
    contrast = CrossContrast(
        2, 4, 6, dict(size=3), confidence=confidence, peer_threshold=0.3, threshold=0.5, pool=2
    )
    outputs = [
        PixelOutput(torch.randn(2, 4, 8, 8), torch.randn(2, 6, 8, 8, requires_grad=True), [])
        for _ in range(4)
    ]
    label = torch.randint(0, 4, (2, 16, 16))
    target = torch.randint(0, 4, (2, 2, 16, 16)), torch.rand(2, 2, 16, 16)

    def step():
        contrast.remember(outputs[:2], label)
        terms = contrast(outputs[:2], outputs[2:], label, target)
        (terms['high'] + terms['low']).sum().backward()

    assert record(step) == []
    assert outputs[0].embedding.grad.abs().sum() > 0
