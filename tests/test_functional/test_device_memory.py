# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.functional import device_memory
from mmseg_ctt.functional.device_memory import elements_at_a_time, elements_of

GIB = 1 << 30


@pytest.mark.parametrize(
    'free, elements',
    [
        (80 * GIB, 1 << 28),
        (16 * GIB, 1 << 28),
        (15 * GIB, 1 << 27),
        (2 * GIB, 1 << 25),
        (0, 1 << 22),
    ],
)
def test_the_largest_power_of_two_in_a_sixteenth_of_the_free_memory(free, elements):
    got = elements_of(free, 1 << 22)
    assert got == elements
    assert got == 1 << 22 or got * 4 <= free / 16


def test_a_cpu_has_its_own_number():
    assert elements_at_a_time(torch.device('cpu'), 77) == 77


def test_a_gpu_is_read_once_with_what_the_cache_of_pytorch_holds(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda i: (calls.append(i), (GIB, 80 * GIB))[1])
    monkeypatch.setattr(torch.cuda, 'memory_reserved', lambda i: 3 * GIB)
    monkeypatch.setattr(torch.cuda, 'memory_allocated', lambda i: 2 * GIB)
    device_memory._on_gpu.cache_clear()
    try:
        assert [elements_at_a_time(torch.device('cuda:3'), 1 << 22) for _ in range(2)] == [
            1 << 25
        ] * 2
    finally:
        device_memory._on_gpu.cache_clear()
    assert calls == [3]
