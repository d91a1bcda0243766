# Copyright (c) mmseg_ctt contributors.
"""What samplers, checks, banks and messages cost as images, classes and ranks grow.

By simulation: sizes and indices alone, no image files, and a stub in place of other processes that
counts what they would send.
"""

import time
import tracemalloc
from functools import partial
from statistics import median
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Sequence, Tuple

import torch
from torch import Tensor

from ...datasets.checks import check_overlap
from ...datasets.sampler import LabeledUnlabeledSampler
from ...datasets.splits import random_ranking
from ...evaluation import AreaCounter
from ...methods.ctt.functional import high_level_contrast
from ...nn.memory_bank import ClassMemoryBank
from .growth import Growth
from .messages import of_ranks

IMAGES = (10**3, 10**6, 10**9)
LISTED = (10**3, 10**4, 10**5)  # what keeps a list, of which more do not fit into memory
CLASSES = (11, 150, 1000)
PIXELS = 6724  # 4 images of 41x41
COLUMNS = ['part', 'quantity', 'small', 'middle', 'large', 'grows']
TEXT = (
    'By simulation: sizes and indices alone, no image files; processor time. Messages are those '
    'of a step, counted by a stub in place of the other ranks; bytes are those that a rank '
    'receives from an all_gather, or sends in a ring of an all_reduce.'
)


def benchmark_scale() -> Dict[str, Any]:
    """All tables; takes a few seconds.

    Returns:
        dict: ``columns``, ``rows`` and ``text`` for the page, and ``growths`` with the numbers.
    """
    found = [*of_images(), *of_classes(), *of_ranks()]
    return dict(
        columns=COLUMNS,
        text=TEXT,
        rows=[growth.row() for growth in found],
        growths=[growth._asdict() for growth in found],
    )


# ---- images


def of_images(images: Sequence[int] = IMAGES, listed: Sequence[int] = LISTED) -> List[Growth]:
    """Sampler, resume, check of the lists, split."""
    overlap, split = 'check that no image is in two sources', 'random split'
    return [
        _grown('sampler', 'memory', images, 'images', lambda n: partial(_draws, n)),
        _grown('sampler', 'time of 1,000 draws', images, 'images', lambda n: partial(_draws, n)),
        _grown('resume', 'time to the last draw', images, 'images', lambda n: partial(_resumed, n)),
        *(
            _grown(overlap, quantity, listed, 'images', lambda n: partial(check_overlap, _infos(n)))
            for quantity in ('memory', 'time')
        ),
        *(
            _grown(split, quantity, listed, 'images', lambda n: partial(random_ranking, n, 0))
            for quantity in ('memory', 'time')
        ),
    ]


def _sampler(number: int) -> LabeledUnlabeledSampler:
    sizes = dict(labeled=max(1, number // 10), unlabeled=number - max(1, number // 10))
    return LabeledUnlabeledSampler(SimpleNamespace(num_images=sizes), seed=0)


def _draws(images: int) -> None:
    sampler = _sampler(images)
    for number in range(1000):
        sampler.draw(number)


def _resumed(images: int) -> None:
    sampler = _sampler(images)
    sampler.advance_to(2 * (images - 1))
    next(iter(sampler))


def _infos(number: int) -> Dict[str, List[dict]]:
    names = [f'/data/images/{i:010d}.jpg' for i in range(number)]
    parts = dict(labeled=names[::10], unlabeled=[name for i, name in enumerate(names) if i % 10])
    return {source: [dict(img_path=name) for name in found] for source, found in parts.items()}


# ---- classes


def of_classes(classes: Sequence[int] = CLASSES) -> List[Growth]:
    """Banks, their update, the contrast, the counts of the metric."""
    bank, queues = 'bank of CTT, 256 x 256 a class', 'queues of U2PL, 30,000 x 256 a class'
    number = f'time of an update with {PIXELS:,} pixels'
    return [
        Growth(bank, 'memory', classes, [_bytes(k, 256) for k in classes], 'classes'),
        _grown(bank, number, classes, 'classes', _update),
        Growth(queues, 'memory', classes, [_bytes(k, 30000) for k in classes], 'classes'),
        _grown('contrast of 128 pixels, 64 entries', 'time', classes, 'classes', _contrast),
        _grown('counts of the metric, 512x512', 'time', classes, 'classes', _counts),
    ]


def _bytes(classes: int, size: int, width: int = 256) -> float:
    with torch.device('meta'):
        bank = ClassMemoryBank(classes, size, width)
    return float(sum(buffer.numel() * buffer.element_size() for buffer in bank.buffers()))


def _pixels(classes: int, number: int) -> Tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    feature = torch.randn(number, 256, generator=random)
    return feature, torch.randint(classes, (number,), generator=random)


def _update(classes: int) -> Callable[[], None]:
    bank = ClassMemoryBank(classes, 256, 256, budget=4)
    feature, label = _pixels(classes, PIXELS)
    valid = torch.ones(PIXELS, dtype=torch.bool)
    confidence = torch.rand(PIXELS, generator=torch.Generator().manual_seed(1))
    return partial(bank.update, feature, label, confidence, valid, num_images=4)


def _contrast(classes: int) -> Callable[[], Any]:
    query, label = _pixels(classes, 128)
    bank = torch.randn(classes, 64, 256, generator=torch.Generator().manual_seed(1))
    return lambda: high_level_contrast(query.requires_grad_(), label, bank).backward()


def _counts(classes: int) -> Callable[[], Any]:
    random = torch.Generator().manual_seed(0)
    predicted, label = torch.randint(classes, (2, 512, 512), generator=random)
    return lambda: AreaCounter()(predicted, label, classes, 255)


# ---- measuring


def _grown(
    part: str,
    quantity: str,
    sizes: Sequence[int],
    axis: str,
    make: Callable[[int], Callable[[], Any]],
) -> Growth:
    """Memory or time of what ``make`` gives for each size."""
    measure = _memory if quantity == 'memory' else _seconds
    return Growth(part, quantity, sizes, [measure(make(size)) for size in sizes], axis)


def _seconds(call: Callable[[], Any], repeats: int = 5) -> float:
    """Median processor time of a call in seconds, after one that is not timed."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return median(times)


def _memory(call: Callable[[], Any]) -> float:
    """Peak of Python's and NumPy's memory during a call, bytes."""
    call()  # what is imported or cached on the way is not its own
    tracemalloc.start()
    try:
        call()
        return float(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
