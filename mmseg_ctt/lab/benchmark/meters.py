# Copyright (c) mmseg_ctt contributors.
"""Watchers that measure the sections of a step: seconds, and peak memory."""

import re
import resource
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import torch

MIB = 2**20


class TimeMeter:
    """Exclusive seconds of each section.

    On a GPU the stretches lie between events of the stream, so that measuring waits for nothing
    until the step is over.

    Args:
        device (torch.device): Of the model.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == 'cuda'
        self._marks: List[Tuple[str, Any]] = []
        self._cpu = 0.0

    def start(self) -> None:
        """Begin a step, with an idle device."""
        if self.on_gpu:
            torch.cuda.synchronize()
        self._marks, self._cpu = [], time.process_time()
        self.lap('')

    def lap(self, section: str) -> None:
        """A stretch of ``section`` ends here."""
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
        """Processor time of this process since :meth:`start`; other programs do not count."""
        return time.process_time() - self._cpu

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


class MemoryMeter:
    """Peak memory of each section, MiB.

    Args:
        device (torch.device): Of the model.

    Attributes:
        kind (str): What is measured. On a GPU, bytes of tensors. On Linux without one, resident
            memory of the process, whose peak the kernel keeps and resets; elsewhere the peak of
            the whole process so far, which says nothing about sections.
        sections (dict[str, float]): Peak of each section, what was in use before included.
        at_start (float): In use when measuring began.
    """

    def __init__(self, device: torch.device) -> None:
        self.kind, self._peak, self._reset = _gauge(device)
        self.sections: Dict[str, float] = {}
        self.at_start = 0.0

    def start(self) -> None:
        """Forget past peaks and read what is in use."""
        self.sections = {}
        self._reset()
        self.at_start = self._peak() / MIB

    def lap(self, section: str) -> None:
        """A stretch of ``section`` ends here."""
        self.sections[section] = max(self.sections.get(section, 0.0), self._peak() / MIB)
        self._reset()

    @property
    def peak(self) -> float:
        """Of all sections since :meth:`start`, MiB."""
        return max(self.sections.values(), default=0.0)


def _gauge(device: torch.device) -> Tuple[str, Callable[[], int], Callable[[], None]]:
    """What can be read here, how it is read, and how it is reset."""
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
    return int(re.search(r'VmHWM:\s+(\d+) kB', status).group(1)) * 1024
