# Copyright (c) mmseg_ctt contributors.
"""AEL on two ranks: its bank and losses against one process, and a whole run."""

import pytest
import torch
from ranks import Counted, Watch, on_ranks, rank_runner
from toy import NUM_CLASSES, toy_segmentor
from toy_data import write_toy_data

from mmseg_ctt.methods.ael.class_confidence import ConfidenceBank
from mmseg_ctt.methods.ael.loss import EqualizedLoss

SIDE = 6


def everything(case, seed=0):
    """Logits, labels and confidences of four images; the halves are ranks."""
    g = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(4, NUM_CLASSES, SIDE, SIDE, generator=g)
    label = torch.randint(0, NUM_CLASSES, (4, SIDE, SIDE), generator=g)
    confidence = torch.rand(4, SIDE, SIDE, generator=g)
    if case == 'a class on one rank only':
        label[:2] = label[:2] % 2
    elif case == 'a rank without a label':
        label[:2] = 255
    elif case == 'a class nowhere':
        label[label == 3] = 255
    elif case == 'a rank without a confident pixel':
        confidence[:2] = 0.1
    return logits, label, confidence


CASES = (
    'usual',
    'a class on one rank only',
    'a rank without a label',
    'a class nowhere',
    'a rank without a confident pixel',
)


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('skip', [True, False])
def test_bank_is_that_of_one_process(case, skip):
    def fed(rows):
        bank = ConfidenceBank(NUM_CLASSES, momentum=0.6, skip_absent=skip)
        for step in range(4):
            logits, label, _ = (tensor[rows] for tensor in everything(case, step))
            bank.update(logits, label, label)
        return bank.state_dict()

    alone = fed(slice(0, 4))
    ranks = on_ranks(lambda rank: fed(slice(2 * rank, 2 * rank + 2)))
    for name, value in alone.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        torch.testing.assert_close(ranks[0][name], value, msg=name)
    assert alone['pixels'].sum() > 0


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('sample_by', ['label', 'student', None])
def test_loss_is_that_of_one_process(case, sample_by):
    key, conf = torch.tensor([0.1, 0.4, 0.2, 0.8]), torch.tensor([0.9, 0.1, 0.6, 0.3])

    def loss(rows):
        logits, label, confidence = (tensor[rows] for tensor in everything(case))
        logits = logits.clone().requires_grad_()
        label = label.clamp(max=NUM_CLASSES - 1)  # a teacher labels every pixel
        value, _ = EqualizedLoss(0.3, sample_by=sample_by)(
            logits, (label, confidence), key[rows], conf
        )
        value.backward()
        return value.detach(), logits.grad

    alone, slope = loss(slice(0, 4))
    ranks = on_ranks(lambda rank: loss(slice(2 * rank, 2 * rank + 2)))
    torch.testing.assert_close((ranks[0][0] + ranks[1][0]) / 2, alone)
    together = torch.cat([ranks[0][1], ranks[1][1]]) / 2  # DDP's mean over the ranks
    torch.testing.assert_close(together, slope)
    assert alone > 0


def test_a_run(tmp_path):
    root = write_toy_data(tmp_path / 'data')

    def body(rank):
        with Counted() as counted:
            runner = rank_runner(
                root,
                tmp_path / 'work',
                model=dict(type='AEL', segmentor=toy_segmentor(0.1), bank=dict(start='random')),
                custom_hooks=[dict(type='TeacherEMAHook')],
                train_cfg=dict(type='ResumableTrainLoop', max_iters=3, val_interval=100),
            )
            watch = Watch(counted)
            runner.register_hook(watch)
            runner.train()
        return list(zip(watch.keys, watch.calls, watch.states))

    first, second = on_ranks(body)
    assert len(first) == 3
    # sums of the bank, and of the weights of both consistencies
    want = {('all_reduce', (3, NUM_CLASSES)): 1, ('all_reduce', ()): 2}
    for (keys, calls, state), (other_keys, _, other) in zip(first, second):
        assert keys == other_keys == first[0][0] and calls == want
        for name, value in state.items():
            if not name.endswith(('running_mean', 'running_var')):  # of the local batch
                assert torch.equal(value, other[name]), name
    banks = [state['bank.confidence'] for _, _, state in first]
    assert not torch.equal(banks[0], banks[1]) and first[-1][2]['bank.pixels'].sum() > 0
