# Copyright (c) mmseg_ctt contributors.
import json
import tempfile
from pathlib import Path
from typing import Any, Callable

import torch
from torch.profiler import ProfilerActivity, profile


def peak_extra_bytes(call: Callable[[], Any], device: torch.device) -> int:
    """Peak memory of a call in bytes, without the tensors allocated before.

    On a GPU it is the peak of the allocator. On a CPU it is summed over the allocations and
    releases that the allocator of torch reports to its profiler, buffers inside an operation
    included; memory of a BLAS library is not counted.

    Args:
        call (Callable): Its result is dropped.
        device (torch.device): Device of the computation.
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
