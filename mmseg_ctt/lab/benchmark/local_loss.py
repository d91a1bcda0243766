# Copyright (c) mmseg_ctt contributors.
"""Benchmark of the locally adaptive learning loss beside the cross-entropy of the same pixels."""

from functools import partial
from typing import Any, Callable, Dict, Tuple

import torch
from torch import Tensor

from ...functional import cross_entropy, locally_adaptive_loss
from .allocations import peak_extra_bytes
from .comparison import compare_speed
from .meters import MIB

WINDOWS = ((3, 1), (3, 3), (7, 1))  # side and stride
SHAPE = (2, 21, 321, 321)  # images, classes, height and width of crops of VOC


def lal_part(
    device: torch.device, repeats: int, shape: Tuple[int, int, int, int] = SHAPE
) -> Dict[str, Any]:
    """Benchmark of speed and memory, forward and backward.

    Labels do not matter: every window has room for all its pixels or classes.

    Returns:
        dict: ``shape``, and ``q3_t1`` and so on by side and stride, each with seconds and
        ``memory``: MiB on top of the logits and labels.
    """
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=random).to(device)
    label = torch.randint(shape[1], (shape[0], *shape[2:]), generator=random).to(device)
    reference = partial(_forward_backward, cross_entropy, logits, label)
    results: Dict[str, Any] = dict(shape=list(shape))
    for size, stride in WINDOWS:
        form = partial(locally_adaptive_loss, kernel_size=size, stride=stride)
        ours = partial(_forward_backward, form, logits, label)
        own, other = (peak_extra_bytes(call, device) / MIB for call in (ours, reference))
        results[f'q{size}_t{stride}'] = dict(
            compare_speed(ours, reference, device, repeats),
            memory=dict(mib=own, reference_mib=other, ratio=own / other),
        )
    return results


def _forward_backward(form: Callable, logits: Tensor, label: Tensor) -> None:
    form(logits.detach().requires_grad_(), label).backward()
