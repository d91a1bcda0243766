# Copyright (c) mmseg_ctt contributors.
"""Comparison of two implementations, measured alternately."""

import time
from statistics import median
from typing import Any, Callable, Dict

import torch

from .counters import OperationCounter
from .sections import SectionStack

Call = Callable[[], Any]


def seconds_of(call: Call, device: torch.device) -> float:
    """Wall time of one call in seconds, waiting for the device before and after."""
    if device.type == 'cuda':
        torch.cuda.synchronize()
    begin = time.perf_counter()
    call()
    if device.type == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def compare_speed(
    ours: Call, reference: Call, device: torch.device, repeats: int = 10, warmup: int = 2
) -> Dict[str, float]:
    """Median seconds of both, measured alternately, and the speed-up of ``ours``."""
    for _ in range(warmup):
        ours()
        reference()
    times = [(seconds_of(ours, device), seconds_of(reference, device)) for _ in range(repeats)]
    own, other = (median(column) for column in zip(*times))
    return dict(seconds=own, reference_seconds=other, times_faster=other / own)


def compare_operations(ours: Call, reference: Call, device: torch.device) -> Dict[str, int]:
    """Numbers of dispatched operations and host synchronisations of both."""
    result = {}
    for prefix, call in (('', ours), ('reference_', reference)):
        with OperationCounter(SectionStack(), device) as counter:
            call()
        result[f'{prefix}operations'] = counter.total(counter.outside)
        result[f'{prefix}synchronisations'] = counter.total(counter.synchronisations)
    return result
