# Copyright (c) mmseg_ctt contributors.
import sys

import pytest
import torch

from mmseg_ctt.lab.benchmark import meters
from mmseg_ctt.lab.benchmark.allocations import peak_extra_bytes
from mmseg_ctt.lab.benchmark.meters import MIB, MemoryMeter
from mmseg_ctt.lab.benchmark.sections import SectionStack

CPU = torch.device('cpu')


@pytest.mark.skipif(sys.platform != 'linux', reason='the resident peak is read from /proc')
def test_memory_of_a_section_is_seen_there():
    stack, meter = SectionStack(), MemoryMeter(CPU)
    if not meter.kind.endswith('of the process'):
        pytest.skip(
            'the kernel refuses to reset VmHWM through /proc/self/clear_refs, so the '
            'peak of one section cannot be told from the one before; what is measured '
            'then is in test_a_kernel_without_a_reset_gives_one_peak'
        )
    with stack.watched_by(meter):
        with stack.inside('losses'):
            torch.ones(256 * MIB, dtype=torch.uint8)  # freed at once
        with stack.inside('bank'):
            torch.ones(1)
    assert meter.sections['losses'] - meter.at_start > 200
    assert meter.sections['losses'] - meter.sections['bank'] > 200
    assert meter.peak == meter.sections['losses']


def test_a_kernel_without_a_reset_gives_one_peak(monkeypatch):
    def refuse():
        raise PermissionError

    monkeypatch.setattr(meters, '_reset_resident_peak', refuse)
    meter = MemoryMeter(CPU)
    meter.start()
    meter.lap('data')
    assert meter.kind.endswith('since it began')
    assert meter.sections['data'] == meter.peak == pytest.approx(meter.at_start, rel=0.2)


@pytest.mark.parametrize(
    'call, megabytes',
    [
        (lambda: torch.ones(4 * MIB, dtype=torch.uint8), 4),
        (lambda: [torch.ones(4 * MIB, dtype=torch.uint8) for _ in range(3)], 12),
        # one at a time: the peak is that of one
        (lambda: [torch.ones(MIB).max() for _ in range(3)], 4),
    ],
)
def test_peak_of_allocations(call, megabytes):
    assert peak_extra_bytes(call, CPU) / MIB == pytest.approx(megabytes, abs=0.1)


def test_what_is_kept_from_before_is_not_extra():
    held = torch.ones(8 * MIB, dtype=torch.uint8)
    assert peak_extra_bytes(lambda: held.add_(1), CPU) <= 0.1 * MIB
