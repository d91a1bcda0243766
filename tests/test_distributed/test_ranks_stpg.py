# Copyright (c) mmseg_ctt contributors.
"""STPG on two ranks: as one process with all images; state equal on both."""

import pytest
import torch
from ranks import Counted, on_ranks, rank_runner
from toy import NUM_CLASSES, toy_model, toy_segmentor
from toy_data import write_toy_data

from mmseg_ctt.methods.stpg import hook as anchor_assignment_hook  # noqa: F401
from mmseg_ctt.nn.member import PixelOutput

SIDE, WIDTH, QUEUE = 8, 8, 5


def everything(case):
    """Two labelled and two unlabelled images; the halves are ranks."""
    g = torch.Generator().manual_seed(1)
    logits = [2 * torch.randn(4, NUM_CLASSES, SIDE, SIDE, generator=g) for _ in range(2)]
    z = [torch.randn(4, WIDTH, SIDE, SIDE, generator=g) for _ in range(2)]
    label, target = (torch.randint(0, NUM_CLASSES, (4, SIDE, SIDE), generator=g) for _ in range(2))
    confidence = torch.rand(4, SIDE, SIDE, generator=g)
    content = torch.rand(4, SIDE, SIDE, generator=g) < 0.8
    if case == 'classes of one rank only':
        label[:2], target[:2] = label[:2] % 2, target[:2] % 2
    elif case == 'one pixel of a class on each rank':
        label, target = label % 3, target % 3
        label[[0, 2], 3, 3] = 3
    elif case == 'nothing on a rank':
        label[:2], content[:2] = 255, False
    return logits, z, label, target, confidence, content


CASES = (
    'usual',
    'classes of one rank only',
    'one pixel of a class on each rank',
    'nothing on a rank',
)


def still(model):
    """Per pixel, so that batch statistics do not part one process from two."""
    model.contrast.projection = torch.nn.Conv2d(WIDTH, WIDTH, 1)
    torch.manual_seed(5)
    model.contrast.projection.weight.data.normal_()
    bank = model.contrast.bank
    bank.features.copy_(torch.randn(bank.features.shape))
    bank.count.copy_(torch.tensor([0, 1, 3, QUEUE]))
    model.set_contrast(True)
    return model


def taught(case, rows):
    """All terms, and the gradient of logits and embeddings."""
    model = still(toy_model('STPG', bank=dict(size=QUEUE)))
    logits, z, label, target, confidence, content = everything(case)
    leaves = [one[rows].clone().requires_grad_() for one in (*logits, *z)]
    label, target, confidence, content = (one[rows] for one in (label, target, confidence, content))
    terms = model._teach(leaves[:2], [(target, confidence)] * 2, content)
    outputs = [PixelOutput(one, one, []) for one in leaves[2:]]
    terms.update(model._contrast_losses(outputs, label, target.masked_fill(~content, 255)))
    sum(value for key, value in terms.items() if 'loss' in key).backward()
    return torch.stack([value.detach() for value in terms.values()]), torch.cat(
        [leaf.grad for leaf in leaves], dim=1
    )


@pytest.mark.parametrize('case', CASES)
def test_losses_as_one_process_with_the_double_batch(case):
    alone, slope = taught(case, slice(0, 4))
    ranks = on_ranks(lambda rank: taught(case, slice(2 * rank, 2 * rank + 2)))
    torch.testing.assert_close((ranks[0][0] + ranks[1][0]) / 2, alone, rtol=1e-5, atol=1e-6)
    together = torch.cat([ranks[0][1], ranks[1][1]]) / 2  # DDP's mean over the ranks
    torch.testing.assert_close(together, slope, rtol=1e-4, atol=1e-7)
    assert (alone > 0).all() and slope.abs().sum() > 0


def remembered(case, rows):
    """State of the contrast after three batches and a matching."""
    model = still(toy_model('STPG', bank=dict(size=QUEUE), contrast=dict(threshold=0.3)))
    model.contrast.projection.forward = lambda z, drop: z
    logits, z, label, *_ = everything(case)
    with Counted() as counted:
        for turn in range(3):
            said = logits[0].roll(turn, 0)[rows], z[0].roll(turn, 1)[rows]
            model.contrast.remember(PixelOutput(*said, []), label[rows])
        calls = dict(counted.calls)
        model.contrast.assign()
    assert len(counted.calls) == len(calls) + (torch.distributed.is_initialized())
    return dict(model.contrast.named_buffers()), calls


@pytest.mark.parametrize('case', CASES)
def test_memory_centroids_and_anchors(case):
    alone, none = remembered(case, slice(0, 4))
    ranks = on_ranks(lambda rank: remembered(case, slice(2 * rank, 2 * rank + 2)))
    assert none == {} and ranks[0][1] == ranks[1][1] == {
        ('all_reduce', (NUM_CLASSES, WIDTH + 1)): 3,
        ('all_gather', (NUM_CLASSES, 4, WIDTH + 2)): 3,
    }
    for name, value in alone.items():
        assert torch.equal(ranks[0][0][name], ranks[1][0][name]), name
        torch.testing.assert_close(ranks[0][0][name], value)
    start = toy_model('STPG').contrast.centroids
    assert not torch.equal(alone['centroids'], start)


def test_rank_zero_decides_on_the_anchors():
    """Centroids that another processor has rounded differently do not part the ranks."""

    def body(rank):
        contrast = toy_model('STPG').contrast
        order = torch.tensor([[1, 0, 3, 2], [3, 2, 1, 0]])[rank]
        contrast.centroids.copy_(contrast.targets[order])
        contrast.assign()
        return contrast.assignment.tolist()

    assert on_ranks(body) == [[1, 0, 3, 2]] * 2


@pytest.mark.parametrize('memory', ['own', 'peer'])
def test_a_run_keeps_its_state_equal_on_both_ranks(tmp_path, memory):
    root = write_toy_data(tmp_path / 'data')

    def body(rank):
        runner = rank_runner(
            root,
            tmp_path / 'work',
            train_cfg=dict(type='ResumableTrainLoop', max_iters=5, val_interval=100),
            custom_hooks=[
                dict(type='TeacherEMAHook'),
                dict(type='QueueWarmupHook', start_iter=3, interval=1),
                dict(type='AnchorAssignmentHook', interval=2),
            ],
            model=dict(
                type='STPG',
                segmentor=toy_segmentor(dropout=0.1),
                bank=dict(size=2),
                contrast=dict(threshold=0.0, memory=memory),
            ),
        )
        runner.train()
        return runner.model.module.state_dict()

    first, second = on_ranks(body)
    statistics = ('running_mean', 'running_var')  # of the local batch, unless SyncBN is used
    for name, value in first.items():
        if not name.endswith(statistics):
            assert torch.equal(value, second[name]), name
    assert first['contrast_on'] and first['contrast.bank.count'].sum() > 0
    assert first['contrast.assignment'].tolist() != list(range(NUM_CLASSES))
