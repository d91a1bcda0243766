# Copyright (c) mmseg_ctt contributors.
import os
import platform
import re
from pathlib import Path
from typing import Any, Dict

import torch


def describe_machine(device: torch.device) -> Dict[str, Any]:
    """Facts that a measurement depends on: processor, cores, threads, versions, device, load."""
    return dict(
        cpu=_processor(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        load_average=[round(load, 2) for load in os.getloadavg()],
        torch=torch.__version__,
        python=platform.python_version(),
        device=str(device),
        device_name=torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU',
    )


def _processor() -> str:
    try:
        found = re.search(r'^model name\s*: (.+)$', Path('/proc/cpuinfo').read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()
