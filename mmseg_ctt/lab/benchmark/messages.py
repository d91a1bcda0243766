# Copyright (c) mmseg_ctt contributors.
"""Messages between ranks and their bytes, counted by a stub in place of other processes."""

from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, List, Sequence
from unittest.mock import patch

import torch
from torch import Tensor

from ...methods.u2pl import segmentor as u2pl
from ...nn import memory_bank, ranks
from ...nn.memory_bank import ClassMemoryBank
from .growth import Growth

WORLDS = (1, 8, 64)


def of_ranks(worlds: Sequence[int] = WORLDS) -> List[Growth]:
    """Messages of a step and their bytes, of what talks to other ranks beside DDP."""
    bank = 'bank of CTT, 21 classes, 2 labelled images a rank'
    parts: Dict[str, Callable[[], Any]] = {
        bank: _bank_update,
        'means of 21 classes (alignment, thresholds, AEL)': lambda: ranks.sum_over_ranks(
            torch.ones(2, 21)
        ),
        'entropies of U2PL, 4 images of 321x321': lambda: u2pl._gathered(torch.ones(4 * 321**2)),
    }
    found = []
    for name, call in parts.items():
        counts = []
        for world in worlds:
            with counted_messages(world) as messages:
                call()
            counts.append(messages)
        found += [
            Growth(name, 'messages', worlds, [one['messages'] for one in counts], 'ranks'),
            Growth(name, 'bytes', worlds, [one['bytes'] for one in counts], 'ranks'),
        ]
    return found


def _bank_update() -> None:
    """What a bank of 21 classes takes from 2 labelled images of 41x41 pixels."""
    bank, number = ClassMemoryBank(21, 256, 256), 2 * 41**2
    feature, label = torch.zeros(number, 256), torch.arange(number) % 21
    valid = torch.ones(number, dtype=torch.bool)
    bank.update(feature, label, torch.ones(number), valid, num_images=2)


@contextmanager
def counted_messages(world: int) -> Iterator[Counter]:
    """A stub of ``world`` equal processes; this is the first.

    Yields:
        Counter: ``messages``, and ``bytes`` that a rank receives in an all_gather
        (``(W - 1) n``) or sends in a ring of an all_reduce (``2 (W - 1) / W n``).
    """
    counts: Counter = Counter()

    def gather(value: Tensor) -> List[Tensor]:
        counts['messages'] += 1
        counts['bytes'] += (world - 1) * value.numel() * value.element_size()
        return [value] * world

    def reduce(value: Tensor, op: str = 'sum') -> None:
        counts['messages'] += 1
        counts['bytes'] += 2 * (world - 1) * value.numel() * value.element_size() // world

    stubs: Dict[str, Callable] = dict(
        all_gather=gather, all_reduce=reduce, get_world_size=lambda: world
    )
    with ExitStack() as undo:
        for module in (memory_bank, ranks, u2pl):
            for name, stub in stubs.items():
                if hasattr(module, name):
                    undo.enter_context(patch.object(module, name, stub))
        yield counts
