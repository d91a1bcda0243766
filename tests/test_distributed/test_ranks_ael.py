# Copyright (c) mmseg_ctt contributors.
"""Class confidence and consistency of AEL on two ranks against one process with all images."""

import pytest
import torch
from ranks import assert_as_one_process, on_ranks
from toy import NUM_CLASSES

from mmseg_ctt.methods.ael.class_confidence import ClassConfidence
from mmseg_ctt.methods.ael.loss import EqualizedConsistency
from mmseg_ctt.nn.pseudo_label import PseudoLabel

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


@pytest.mark.parametrize('skip', [True, False])
def test_class_confidence_is_that_of_one_process(skip):
    def fed(case, rows):
        part = ClassConfidence(NUM_CLASSES, momentum=0.6, skip_absent=skip)
        for step in range(4):
            logits, label, _ = (tensor[rows] for tensor in everything(case, step))
            part.update(logits, label, label)
        return part.state_dict()

    def all_cases(rows):
        return {case: fed(case, rows) for case in CASES}

    alone = all_cases(slice(0, 4))
    first, second = on_ranks(lambda rank: all_cases(slice(2 * rank, 2 * rank + 2)))
    for case, state in alone.items():
        for name, value in state.items():
            assert torch.equal(first[case][name], second[case][name]), (case, name)
            torch.testing.assert_close(first[case][name], value, msg=f'{case}: {name}')
        assert state['pixels'].sum() > 0


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('sample_by', ['label', 'student', None])
def test_loss_is_that_of_one_process(case, sample_by):
    key, known = torch.tensor([0.1, 0.4, 0.2, 0.8]), torch.tensor([0.9, 0.1, 0.6, 0.3])
    part = EqualizedConsistency(NUM_CLASSES, sample_by=sample_by, confidence_threshold=0.3)

    def loss(rows):
        logits, label, confidence = (tensor[rows] for tensor in everything(case))
        logits = logits.clone().requires_grad_()
        label = label.clamp(max=NUM_CLASSES - 1)  # a teacher labels every pixel
        value, *_ = part(logits, PseudoLabel(label, confidence), key[rows], known)
        value.backward()
        return value.detach(), logits.grad

    assert_as_one_process(loss)
