# Copyright (c) mmseg_ctt contributors.
"""How much of a large intermediate result is held at a time, by the memory of the device."""

from functools import lru_cache

import torch

LARGEST = 1 << 28  # elements, 1 GiB in float32: larger chunks save no operation worth its memory
RATIO = 1 / 16  # of the free memory, for one chunk
BYTES = 4  # of an element, float32


def elements_at_a_time(device: torch.device, on_cpu: int) -> int:
    """Elements of a chunk: a fixed number on a CPU, by the free memory on a GPU.

    On a GPU it is the largest power of two of which a chunk takes at most a sixteenth of the free
    memory, from ``on_cpu`` to 2 ** 28. Free is what the driver and PyTorch's cache have at the
    first call in the process; later calls give the same number.

    Args:
        device (torch.device): Of the tensors.
        on_cpu (int): Number on all devices but GPUs.

    Returns:
        int: Number of elements.
    """
    if device.type != 'cuda':
        return on_cpu
    return _on_gpu(torch.cuda.current_device() if device.index is None else device.index, on_cpu)


@lru_cache(maxsize=None)
def _on_gpu(index: int, smallest: int) -> int:
    free, _ = torch.cuda.mem_get_info(index)
    cached = torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index)
    return elements_of(free + cached, smallest)


def elements_of(free: int, smallest: int) -> int:
    """The same from a number of free bytes.

    Args:
        free (int): Bytes.
        smallest (int): Elements, the result for a device that is nearly full.
    """
    fitting = int(free * RATIO / BYTES)
    return max(smallest, min(LARGEST, 1 << max(fitting.bit_length() - 1, 0)))
