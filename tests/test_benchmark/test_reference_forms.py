# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt import functional
from mmseg_ctt.lab.benchmark import reference_forms as forms
from mmseg_ctt.nn.memory_bank import ClassMemoryBank

CLASSES, PIXELS, WIDTH = 5, 60, 7


def pixels(valid_share=0.7):
    g = torch.Generator().manual_seed(0)
    query = torch.randn(PIXELS, WIDTH, generator=g, dtype=torch.float64)
    peer = torch.randn(PIXELS, WIDTH, generator=g, dtype=torch.float64)
    label = torch.randint(CLASSES - 1, (PIXELS,), generator=g)  # the last class is absent
    bank = torch.randn(CLASSES, 4, WIDTH, generator=g, dtype=torch.float64)
    return query, peer, label, bank, torch.rand(PIXELS, generator=g) < valid_share


def value_and_gradient(form, query, *args):
    query = query.clone().requires_grad_()
    value = form(query, *args)
    value.backward()
    return value.detach(), query.grad


@pytest.mark.parametrize('share', [0.7, 1.0])
@pytest.mark.parametrize('temperature', [0.1, 0.5])
def test_high_level(temperature, share):
    query, _, label, bank, valid = pixels(share)
    args = query, label, bank, temperature, valid
    torch.testing.assert_close(
        value_and_gradient(forms.high_level_per_class, *args),
        value_and_gradient(functional.high_level_contrast, *args),
    )


@pytest.mark.parametrize('share', [0.7, 1.0])
@pytest.mark.parametrize('temperature', [0.1, 0.5])
def test_low_level(temperature, share):
    query, peer, label, bank, valid = pixels(share)
    args = query, peer, label, bank, temperature, valid
    torch.testing.assert_close(
        value_and_gradient(forms.low_level_per_class, *args),
        value_and_gradient(functional.low_level_contrast, *args),
    )


def test_ema():
    g = torch.Generator().manual_seed(0)
    student = [torch.randn(3, 2, generator=g), torch.randn(4, generator=g)]
    teachers = [[torch.randn(t.shape, generator=g) for t in student] for _ in range(1)] * 2
    first, second = ([t.clone() for t in teacher] for teacher in teachers)
    forms.ema_per_tensor(first, student, 0.9)
    functional.ema_update_(second, student, 0.9)
    torch.testing.assert_close(first, second)


def test_queues():
    bank = ClassMemoryBank(CLASSES, size=5, dim=WIDTH, budget=3)
    queue = forms.QueuePerClass(CLASSES, 5, WIDTH, torch.device('cpu'))
    g = torch.Generator().manual_seed(0)
    for _ in range(6):
        feature = torch.randn(PIXELS, WIDTH, generator=g)
        label = torch.randint(CLASSES, (PIXELS,), generator=g)
        confidence, valid = torch.rand(2, PIXELS, generator=g)
        valid = valid < 0.15  # some classes have fewer candidates than the budget
        bank.update(feature, label, confidence, valid, num_images=3)
        queue.push(feature, label, confidence, valid, 3)
        assert bank.count.tolist() == queue.counts
        torch.testing.assert_close(bank.in_order(), queue.features)
    assert min(queue.counts) == 5
