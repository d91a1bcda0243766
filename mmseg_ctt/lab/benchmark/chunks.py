# Copyright (c) mmseg_ctt contributors.
"""Benchmark of the contrast with chunks of several sizes: operations, time and memory."""

from functools import partial
from typing import Any, Callable, Dict, Optional, Sequence
from unittest.mock import patch

import torch
from torch import Tensor

from ...methods.ctt import bank_contrast, functional
from .allocations import peak_extra_bytes
from .comparison import compare_operations, compare_speed
from .meters import MIB

EXPONENTS = (20, 22, 24, 26)  # of two; similarities that are held at a time
CLASSES, ENTRIES, WIDTH = 21, 256, 256  # VOC
PIXELS = dict(cuda=26896, cpu=1681)  # 16 images or 1 of 41x41 pixels


def chunks_part(
    device: torch.device,
    repeats: int,
    pixels: Optional[int] = None,
    exponents: Sequence[int] = EXPONENTS,
) -> Dict[str, Any]:
    """Benchmark of both contrast terms, forward and backward, by size of the chunks.

    Each size is measured in turns with 2^22.

    Returns:
        dict: ``pixels``, and ``2^20`` and so on, each with seconds, operations, synchronisations
        and MiB on top of the inputs.
    """
    pixels = PIXELS.get(device.type, PIXELS['cpu']) if pixels is None else pixels
    both = _terms(pixels, device)
    reference = partial(_with_chunks, 1 << 22, both)
    results: Dict[str, Any] = dict(pixels=pixels)
    for exponent in exponents:
        ours = partial(_with_chunks, 1 << exponent, both)
        results[f'2^{exponent}'] = dict(
            compare_speed(ours, reference, device, repeats),
            **compare_operations(ours, reference, device),
            memory=dict(mib=peak_extra_bytes(ours, device) / MIB),
        )
    return results


def _with_chunks(elements: int, call: Callable[[], None]) -> None:
    with patch.object(bank_contrast, 'CHUNK_ELEMENTS', elements):
        call()


def _terms(pixels: int, device: torch.device) -> Callable[[], None]:
    random = torch.Generator().manual_seed(0)
    query, peer = (torch.randn(pixels, WIDTH, generator=random).to(device) for _ in range(2))
    label = torch.randint(CLASSES, (pixels,), generator=random).to(device)
    bank = torch.randn(CLASSES, ENTRIES, WIDTH, generator=random).to(device)
    return partial(_forward_backward, query, peer, label, bank)


def _forward_backward(query: Tensor, peer: Tensor, label: Tensor, bank: Tensor) -> None:
    query = query.detach().requires_grad_()
    high = functional.high_level_contrast(query, label, bank)
    low = functional.low_level_contrast(query, peer, label, bank)
    (high + low).backward()
