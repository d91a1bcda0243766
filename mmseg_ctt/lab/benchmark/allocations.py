# Copyright (c) mmseg_ctt contributors.
import json
import tempfile
from pathlib import Path
from typing import Any, Callable

import torch
from torch.profiler import ProfilerActivity, profile


def peak_extra_bytes(call: Callable[[], Any], device: torch.device) -> int:
    """Most bytes of new tensors that ``call`` holds at a time.

    On a GPU the allocator's own peak beyond what was allocated before. On a CPU every allocation
    that torch's allocator reports to its profiler, and its release, buffers inside an operation
    included; what a BLAS library takes for itself is not seen.

    Args:
        call (Callable): Its result is dropped.
        device (torch.device): Where it computes.
    """
    if device.type == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'trace.json'
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())['traceEvents']
    changes = [event for event in events if event.get('name') == '[memory]']
    held = peak = 0
    for event in sorted(changes, key=lambda event: event['ts']):
        held += event['args']['Bytes']
        peak = max(peak, held)
    return peak
