# Copyright (c) mmseg_ctt contributors.
"""Class thresholds on two ranks against one process with all pixels."""

import torch
from ranks import Counted, on_ranks

from mmseg_ctt.nn.class_thresholds import ClassThresholds

K = 4


def after_steps(rows):
    """The state after five batches; class 3 is on the first images only."""
    module = ClassThresholds(K, 1.0, momentum=0.5)
    for step in range(5):
        g = torch.Generator().manual_seed(step)
        label = torch.randint(0, K, (4, 5, 6), generator=g)
        label[2:][label[2:] == 3] = 255
        module.update(label[rows], torch.rand(4, 5, 6, generator=g)[rows])
    return module.state_dict()


def test_as_one_process_with_the_double_batch():
    whole = after_steps(slice(0, 4))
    one, other = on_ranks(lambda rank: after_steps(slice(2 * rank, 2 * rank + 2)))
    assert whole['updates'].tolist() == [5] * K
    for name, value in whole.items():
        assert torch.equal(one[name], other[name]), name
        torch.testing.assert_close(one[name], value)


def test_one_small_collective_a_step():
    def count(rank):
        with Counted() as counted:
            ClassThresholds(K, 1.0).update(torch.zeros(2, 3, 3).long(), torch.rand(2, 3, 3))
        return counted.calls

    assert on_ranks(count) == [{('all_reduce', (2, K)): 1}] * 2
