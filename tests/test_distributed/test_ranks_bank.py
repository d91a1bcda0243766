# Copyright (c) mmseg_ctt contributors.
"""Banks on two ranks against the bank of one process that sees the pixels of both."""

import pytest
import torch
from ranks import Counted, on_ranks

from mmseg_ctt.nn.memory_bank import ClassMemoryBank

K, V, D = 5, 6, 3


def pixels(number, seed, classes=K, ratio=0.7):
    """Features, labels, confidences and which pixels are candidates."""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, classes, (number,), generator=g)
    valid = torch.rand(number, generator=g) < ratio
    confidence = torch.rand(number, generator=g)
    return torch.randn(number, D, generator=g), label.masked_fill(~valid, 255), confidence, valid


def none(number, seed):
    return pixels(number, seed, ratio=0)


CASES = {  # for each rank: pixels of update p
    'plenty': [lambda p: pixels(60, p), lambda p: pixels(60, 100 + p)],
    'few': [lambda p: pixels(6, p), lambda p: pixels(6, 100 + p)],
    'classes of one rank only': [lambda p: pixels(60, p, classes=2), lambda p: pixels(60, 100 + p)],
    'a rank without a candidate': [lambda p: none(60, p), lambda p: pixels(60, 100 + p)],
    'no candidate at all': [lambda p: none(60, p), lambda p: none(60, 100 + p)],
    'uneven': [lambda p: pixels(60, p), lambda p: pixels(9, 100 + p)],
    'a rank with fewer pixels than the budget': [
        lambda p: pixels(60, p),
        lambda p: pixels(2, 100 + p),
    ],
    'in turns': [
        lambda p: (none if p % 2 else pixels)(60, p),
        lambda p: (pixels if p % 2 else none)(60, 100 + p),
    ],
}


def updated(parts, budget, images):
    """State after six updates."""
    bank = ClassMemoryBank(K, V, D, budget)
    for push in range(6):
        given = [part(push) for part in parts]
        bank.update(*(torch.cat(tensors) for tensors in zip(*given)), num_images=images)
    return bank.state_dict()


@pytest.mark.parametrize('budget', [None, 3])
@pytest.mark.parametrize('case', CASES)
def test_as_one_process_with_the_double_batch(case, budget):
    parts = CASES[case]
    alone = updated(parts, budget, images=4)
    ranks = on_ranks(lambda rank: updated(parts[rank : rank + 1], budget, images=2))
    for name, value in alone.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        assert torch.equal(ranks[0][name], value), name
    assert (alone['count'].sum() > 0) == (case != 'no candidate at all')


def test_two_collectives_of_fixed_size():
    """Features are sent once, whatever the number of ranks; what all send is scores."""

    def count(rank):
        bank, calls = ClassMemoryBank(K, V, D, budget=4), []
        for number in (60, 60, 5, 40):
            with Counted() as counted:
                bank.update(*pixels(number, rank), num_images=2)
            calls.append(counted.calls)
        return calls

    for calls in on_ranks(count):
        assert calls == [{('all_gather', (2, K, 4)): 1, ('all_reduce', (K, 4, D)): 1}] * 4
