# Copyright (c) mmseg_ctt contributors.
"""Meters of the sections of a step: seconds, and peak memory."""

import re
import resource
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import torch

MIB = 2**20


class TimeMeter:
    """Meter of the seconds of each section, without those of inner sections.

    On a GPU it records events of the stream and waits for the device only after the step.

    Args:
        device (torch.device): Device of the model.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == 'cuda'
        self._marks: List[Tuple[str, Any]] = []
        self._cpu = 0.0

    def start(self) -> None:
        """Begin a step, after waiting for the device."""
        if self.on_gpu:
            torch.cuda.synchronize()
        self._marks, self._cpu = [], time.process_time()
        self.lap('')

    def lap(self, section: str) -> None:
        """End an interval of ``section``."""
        self._marks.append((section, self._now()))

    def seconds(self) -> Dict[str, float]:
        """Seconds by section since :meth:`start`; waits for the device."""
        if self.on_gpu:
            torch.cuda.synchronize()
        totals: Dict[str, float] = defaultdict(float)
        for (_, begin), (section, end) in zip(self._marks, self._marks[1:]):
            totals[section] += begin.elapsed_time(end) / 1e3 if self.on_gpu else end - begin
        return dict(totals)

    def cpu_seconds(self) -> float:
        """Processor time of this process since :meth:`start`, without other programs."""
        return time.process_time() - self._cpu

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


class MemoryMeter:
    """Meter of the peak memory of each section, MiB.

    Args:
        device (torch.device): Device of the model.

    Attributes:
        kind (str): Name of the quantity. On a GPU, bytes of tensors. On Linux without a GPU,
            resident memory of the process, whose peak the kernel keeps and resets; elsewhere the
            peak of the whole process so far, which is not a peak of a section.
        sections (dict[str, float]): Peak of each section, with the memory in use before it.
        at_start (float): Memory in use at :meth:`start`.
    """

    def __init__(self, device: torch.device) -> None:
        self.kind, self._peak, self._reset = _gauge(device)
        self.sections: Dict[str, float] = {}
        self.at_start = 0.0

    def start(self) -> None:
        """Reset the peaks and read the memory in use."""
        self.sections = {}
        self._reset()
        self.at_start = self._peak() / MIB

    def lap(self, section: str) -> None:
        """End an interval of ``section``."""
        self.sections[section] = max(self.sections.get(section, 0.0), self._peak() / MIB)
        self._reset()

    @property
    def peak(self) -> float:
        """Peak of all sections since :meth:`start`, MiB."""
        return max(self.sections.values(), default=0.0)


def _gauge(device: torch.device) -> Tuple[str, Callable[[], int], Callable[[], None]]:
    """Name of the quantity that this machine can measure, and functions to read and reset it."""
    if device.type == 'cuda':
        return (
            'allocated by tensors on the GPU',
            torch.cuda.max_memory_allocated,
            torch.cuda.reset_peak_memory_stats,
        )
    try:
        _reset_resident_peak()
    except OSError:
        unit = 1024  # Linux counts in KiB
        return (
            'peak resident set of the process since it began',
            lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
            lambda: None,
        )
    return 'peak resident set of the process', _resident_peak, _reset_resident_peak


def _reset_resident_peak() -> None:
    Path('/proc/self/clear_refs').write_text('5')


def _resident_peak() -> int:
    status = Path('/proc/self/status').read_text()
    found = re.search(r'VmHWM:\s+(\d+) kB', status)
    assert found is not None, 'the kernel does not report VmHWM'
    return int(found[1]) * 1024
