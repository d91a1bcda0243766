# Copyright (c) mmseg_ctt contributors.
"""Distribution alignment on two ranks against one process with all pixels."""

import pytest
import torch
from ranks import Counted, on_ranks

from mmseg_ctt.nn.alignment import DistributionAlignment

K = 4


def aligned(rows, case):
    """What five steps give for these images, and the state after them."""
    module, outputs = DistributionAlignment(torch.tensor([0.4, 0.3, 0.2, 0.1]), steps=3), []
    for step in range(5):
        g = torch.Generator().manual_seed(step)
        logits = torch.randn(4, K, 5, 6, generator=g)
        valid = torch.rand(4, 5, 6, generator=g) < 0.6
        if case == 'padding only on a rank':
            valid[:2] = False
        outputs.append(module(logits[rows], None if case == 'no padding' else valid[rows]))
    return torch.stack(outputs), module.state_dict()


@pytest.mark.parametrize('case', ['no padding', 'padding', 'padding only on a rank'])
def test_as_one_process_with_the_double_batch(case):
    outputs, state = aligned(slice(0, 4), case)
    (first, one), (second, other) = on_ranks(
        lambda rank: aligned(slice(2 * rank, 2 * rank + 2), case)
    )
    torch.testing.assert_close(torch.cat([first, second], dim=1), outputs)
    for name, value in state.items():
        assert torch.equal(one[name], other[name]), name
        torch.testing.assert_close(one[name], value)


def test_one_small_collective_a_step():
    def count(rank):
        module = DistributionAlignment(torch.full((K,), 1 / K))
        with Counted() as counted:
            module(torch.randn(2, K, 3, 3))
        return counted.calls

    assert on_ranks(count) == [{('all_reduce', (1, K + 1)): 1}] * 2
