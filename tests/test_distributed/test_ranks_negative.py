# Copyright (c) mmseg_ctt contributors.
"""Negative labels on two ranks: as one process with all images; state equal on both."""

from pathlib import Path

import pytest
import torch
from ranks import on_ranks, rank_runner
from toy import NUM_CLASSES, toy_model, toy_segmentor
from toy_data import write_toy_data

from mmseg_ctt.methods.dual_negative.segmentor import Advice
from mmseg_ctt.nn.member import PixelOutput

SIDE = 8
SETTINGS = dict(confident=0.4, schedule='turns')


def everything(case):
    g = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(4, NUM_CLASSES, SIDE, SIDE, generator=g)
    said = (2 * torch.randn(4, NUM_CLASSES, SIDE, SIDE, generator=g)).softmax(1)
    content = torch.rand(4, SIDE, SIDE, generator=g) < 0.8
    if case == 'a rank trusts nothing':
        said[:2] = 1 / NUM_CLASSES
    elif case == 'a rank trusts all':
        said[:2] = torch.eye(NUM_CLASSES)[1].view(1, -1, 1, 1)
    elif case == 'a rank of padding':
        content[:2] = False
    return logits, said, content


def taught(case, rows):
    """Terms of a student and the gradient of its logits."""
    model = toy_model('DualNegativeLabel')
    logits, said, content = (one[rows] for one in everything(case))
    draws = [(7, number) for number in range(4)][rows]
    logits = logits.clone().requires_grad_()
    advice = model._advice(0, said, draws)
    terms = model._teach(
        0, PixelOutput(logits, logits, []), advice, advice.confidence >= 0.6, content
    )
    assert isinstance(advice, Advice)
    (terms['student0.loss_pos'] + terms['student0.loss_neg']).backward()
    return torch.stack([term.detach() for term in terms.values()]), logits.grad


@pytest.mark.parametrize(
    'case', ['usual', 'a rank trusts nothing', 'a rank trusts all', 'a rank of padding']
)
def test_as_one_process_with_the_double_batch(case):
    alone, slope = taught(case, slice(0, 4))
    ranks = on_ranks(lambda rank: taught(case, slice(2 * rank, 2 * rank + 2)))
    torch.testing.assert_close((ranks[0][0] + ranks[1][0]) / 2, alone, rtol=1e-5, atol=1e-6)
    together = torch.cat([ranks[0][1], ranks[1][1]]) / 2  # DDP's mean over the ranks
    torch.testing.assert_close(together, slope, rtol=1e-4, atol=1e-7)
    assert (alone > 0).all() and slope.abs().sum() > 0


def test_state_is_equal_on_both_ranks(tmp_path: Path):
    root = write_toy_data(tmp_path / 'data')

    def body(rank):
        runner = rank_runner(
            root,
            tmp_path / 'work',
            custom_hooks=[dict(type='TeacherEMAHook')],
            model=dict(type='DualNegativeLabel', segmentor=toy_segmentor(dropout=0.1), **SETTINGS),
            train_cfg=dict(type='ResumableTrainLoop', max_iters=3, val_interval=100),
        )
        runner.train()
        return runner.model.module.state_dict()

    first, second = on_ranks(body)
    statistics = ('running_mean', 'running_var')  # of the local batch, unless SyncBN is used
    assert first['ema_updates'] == 3
    for name, value in first.items():
        if not name.endswith(statistics):
            assert torch.equal(value, second[name]), name
