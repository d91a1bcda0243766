# Copyright (c) mmseg_ctt contributors.
"""Benchmarks of contrast, EMA and memory bank against the forms of released code.

The locally adaptive loss, beside cross-entropy, is in ``local_loss.py``, the sizes of the chunks
of the contrast in ``chunks.py``.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, Callable, Dict, List, NamedTuple

import torch
from mmengine.hub import get_config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import Tensor

from ...functional import ema_update_
from ...methods.ctt.functional import high_level_contrast, low_level_contrast
from ...nn.memory_bank import ClassMemoryBank
from .allocations import peak_extra_bytes
from .chunks import chunks_part
from .comparison import compare_operations, compare_speed
from .local_loss import lal_part
from .meters import MIB
from .reference_forms import (
    QueuePerClass,
    ema_per_tensor,
    high_level_per_class,
    low_level_per_class,
)

OTHER_PARTS: Dict[str, Callable[[torch.device, int], Dict[str, Any]]] = dict(
    lal=lal_part, chunks=chunks_part
)
TEACHER_CONFIG = 'mmseg::_base_/models/deeplabv3plus_r50-d8.py'


class Sizes(NamedTuple):
    """Sizes of a contrast: pixels, classes, entries per class, width. Defaults: VOC, 4 of 41x41."""

    pixels: int = 6724
    classes: int = 21
    entries: int = 256
    width: int = 256


PUBLISHED = Sizes()


def run_in_process(name: str, device: torch.device, repeats: int) -> Dict[str, Any]:
    """Benchmark of the part ``name`` in a process of its own.

    The state of the allocator after one part would change the time of the next: large temporaries
    cost several times as much in a process that has not allocated such before.
    """
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(_run, name, str(device), repeats, torch.get_num_threads()).result()


def _run(name: str, device: str, repeats: int, threads: int) -> Dict[str, Any]:
    torch.set_num_threads(threads)
    part = OTHER_PARTS.get(name) or globals()[f'{name}_part']
    return part(torch.device(device), repeats)


def contrast_part(device: torch.device, repeats: int, sizes: Sizes = PUBLISHED) -> Dict[str, Any]:
    """Benchmark of speed and memory of both contrast terms, forward and backward.

    Returns:
        dict: ``sizes``, ``times_faster`` of both terms together, and ``high`` and ``low``, each
        with seconds and ``memory``: MiB on top of the inputs at these sizes, with twice the
        entries and with twice the pixels.
    """
    results: Dict[str, Any] = dict(sizes=sizes._asdict())
    for name, terms in (('high', _high_terms), ('low', _low_terms)):
        ours, reference = terms(sizes, device)
        results[name] = dict(
            compare_speed(ours, reference, device, repeats),
            memory=_contrast_memory(terms, sizes, device),
        )
    own, other = (
        sum(results[name][key] for name in ('high', 'low'))
        for key in ('seconds', 'reference_seconds')
    )
    results['times_faster'] = other / own
    return results


def _contrast_memory(terms: Callable, sizes: Sizes, device: torch.device) -> Dict[str, float]:
    ours, reference = terms(sizes, device)
    more_entries, _ = terms(sizes._replace(entries=2 * sizes.entries), device)
    more_pixels, _ = terms(sizes._replace(pixels=2 * sizes.pixels), device)
    own, other, entries, pixels = (
        peak_extra_bytes(call, device) / MIB
        for call in (ours, reference, more_entries, more_pixels)
    )
    values = dict(
        similarities=sizes.pixels * sizes.classes * sizes.entries,
        gradient=sizes.pixels * sizes.width,
    )
    return dict(
        mib=own,
        reference_mib=other,
        ratio=own / other,
        twice_entries_mib=entries,
        twice_pixels_mib=pixels,
        **{f'{name}_mib': 4 * count / MIB for name, count in values.items()},
    )


def _pixels(sizes: Sizes, device: torch.device) -> List[Tensor]:
    random = torch.Generator().manual_seed(0)
    query = torch.randn(sizes.pixels, sizes.width, generator=random)
    label = torch.randint(sizes.classes, (sizes.pixels,), generator=random)
    bank = torch.randn(sizes.classes, sizes.entries, sizes.width, generator=random)
    valid = torch.ones(sizes.pixels, dtype=torch.bool)
    return [tensor.to(device) for tensor in (query, label, bank, valid)]


def _high_terms(sizes: Sizes, device: torch.device) -> List[Callable[[], None]]:
    query, label, bank, valid = _pixels(sizes, device)
    return [
        partial(_forward_backward, form, query, label, bank, 0.1, valid)
        for form in (high_level_contrast, high_level_per_class)
    ]


def _low_terms(sizes: Sizes, device: torch.device) -> List[Callable[[], None]]:
    """Low-level terms, with the banks of both pairs as negatives, as in a step."""
    query, label, bank, valid = _pixels(sizes, device)
    peer, both = query.flip(0), torch.cat([bank, bank.flip(1)], dim=1)
    return [
        partial(_forward_backward, form, query, peer, label, both, 0.5, valid)
        for form in (low_level_contrast, low_level_per_class)
    ]


def _forward_backward(form: Callable, query: Tensor, *args: Any) -> None:
    query = query.detach().requires_grad_()
    form(query, *args).backward()


def ema_part(device: torch.device, repeats: int) -> Dict[str, Any]:
    """Benchmark of the EMA of two teachers (mmseg's DeepLabV3+ R50): speed and operations."""
    shapes = 2 * teacher_shapes()
    teacher, student = ([torch.randn(shape, device=device) for shape in shapes] for _ in range(2))
    ours = partial(ema_update_, teacher, student, 0.99)
    reference = partial(ema_per_tensor, teacher, student, 0.99)
    return dict(
        tensors=len(shapes),
        parameters=sum(shape.numel() for shape in shapes),
        **compare_speed(ours, reference, device, repeats),
        **compare_operations(ours, reference, device),
    )


def teacher_shapes() -> List[torch.Size]:
    """Shapes of the parameters of a teacher with auxiliary head; allocates no memory."""
    model = get_config(TEACHER_CONFIG).model
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmseg'):
        return [parameter.shape for parameter in MODELS.build(model).parameters()]


def bank_part(
    device: torch.device, repeats: int, images: int = 10, side: int = 41, sizes: Sizes = PUBLISHED
) -> Dict[str, Any]:
    """Benchmark of an update of full queues: speed, operations, synchronisations."""
    pixels = _pixels(sizes._replace(pixels=images * side**2), device)
    feature, label, _, valid = pixels
    confidence = torch.rand(label.shape, generator=torch.Generator().manual_seed(1)).to(device)
    bank = ClassMemoryBank(sizes.classes, sizes.entries, sizes.width, budget=images).to(device)
    queue = QueuePerClass(sizes.classes, sizes.entries, sizes.width, device)
    ours = partial(bank.update, feature, label, confidence, valid, images)
    reference = partial(queue.push, feature, label, confidence, valid, images)
    for _ in range(-(-sizes.entries // images)):
        ours()
        reference()
    return dict(
        sizes=dict(images=images, side=side, **sizes._replace(pixels=images * side**2)._asdict()),
        **compare_speed(ours, reference, device, repeats),
        **compare_operations(ours, reference, device),
    )
