# Copyright (c) mmseg_ctt contributors.
"""Memory, centroids and anchors of STPG on two ranks: as in one process, and equal on both."""

import pytest
import torch
from ranks import Counted, on_ranks
from toy import NUM_CLASSES

from mmseg_ctt.methods.stpg.contrast import AnchorContrast
from mmseg_ctt.nn.member import PixelOutput

SIDE, WIDTH, QUEUE = 8, 8, 5
CASES = (
    'usual',
    'classes of one rank only',
    'one pixel of a class on each rank',
    'nothing on a rank',
)


def build():
    contrast = AnchorContrast(NUM_CLASSES, WIDTH, dict(size=QUEUE), threshold=0.3)
    # the projection's batch statistics would part one process from two
    contrast.projection.forward = lambda z, drop: z
    return contrast


def everything(case):
    """Four labelled images; the halves are ranks."""
    g = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(4, NUM_CLASSES, SIDE, SIDE, generator=g)
    z = torch.randn(4, WIDTH, SIDE, SIDE, generator=g)
    label = torch.randint(0, NUM_CLASSES, (4, SIDE, SIDE), generator=g)
    if case == 'classes of one rank only':
        label[:2] = label[:2] % 2
    elif case == 'one pixel of a class on each rank':
        label = label % 3
        label[[0, 2], 3, 3] = 3
    elif case == 'nothing on a rank':
        label[:2] = 255
    return logits, z, label


def updated(case, rows):
    """State of the contrast after three batches and a matching."""
    contrast = build()
    contrast.bank.count.copy_(torch.tensor([0, 1, 3, QUEUE]))
    logits, z, label = everything(case)
    with Counted() as counted:
        for turn in range(3):
            output = PixelOutput(logits.roll(turn, 0)[rows], z.roll(turn, 1)[rows], [])
            contrast.update(output, label[rows])
        calls = dict(counted.calls)
        contrast.assign()
    assert len(counted.calls) == len(calls) + (torch.distributed.is_initialized())
    return dict(contrast.named_buffers()), calls


@pytest.mark.parametrize('case', CASES)
def test_memory_centroids_and_anchors(case):
    alone, none = updated(case, slice(0, 4))
    ranks = on_ranks(lambda rank: updated(case, slice(2 * rank, 2 * rank + 2)))
    assert none == {} and ranks[0][1] == ranks[1][1] == {
        ('all_reduce', (NUM_CLASSES, WIDTH + 1)): 3,
        ('all_gather', (2, NUM_CLASSES, 4)): 3,
        ('all_reduce', (NUM_CLASSES, 4, WIDTH)): 3,
    }
    for name, value in alone.items():
        assert torch.equal(ranks[0][0][name], ranks[1][0][name]), name
        torch.testing.assert_close(ranks[0][0][name], value)
    assert not torch.equal(alone['centroids'], build().centroids)


def test_rank_zero_decides_on_the_anchors():
    """Centroids that another processor has rounded differently do not part the ranks."""

    def body(rank):
        contrast = build()
        order = torch.tensor([[1, 0, 3, 2], [3, 2, 1, 0]])[rank]
        contrast.centroids.copy_(contrast.targets[order])
        contrast.assign()
        return contrast.assignment.tolist()

    assert on_ranks(body) == [[1, 0, 3, 2]] * 2
