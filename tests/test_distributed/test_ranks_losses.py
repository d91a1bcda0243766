# Copyright (c) mmseg_ctt contributors.
"""Losses on two ranks, averaged as DDP averages gradients, against one process with all images."""

import itertools

import pytest
import torch
from ranks import Counted, assert_as_one_process, on_ranks
from toy import NUM_CLASSES

from mmseg_ctt.methods.ctt.contrast import CrossContrast
from mmseg_ctt.nn.consistency import NORMALIZERS, SELECTIONS, TARGETS, Consistency
from mmseg_ctt.nn.member import PixelOutput
from mmseg_ctt.nn.pseudo_label import PseudoLabel

SIDE, WIDTH = 8, 8
CASES = (
    'usual',
    'a class on one rank only',
    'a rank without a confident pixel',
    'a rank where all is confident',
    'nothing on a rank',
    'padding on a rank',
    'more truth on a rank',
)


def everything(case):
    """Labels of four images, and what they are taught; the halves are ranks."""
    g = torch.Generator().manual_seed(1)
    label = torch.randint(0, NUM_CLASSES, (4, SIDE, SIDE), generator=g)
    target = torch.randint(0, NUM_CLASSES, (4, SIDE, SIDE), generator=g)
    confidence = torch.rand(4, SIDE, SIDE, generator=g)
    valid = None
    if case == 'a class on one rank only':
        label[:2], target[:2] = label[:2] % 2, target[:2] % 2
    elif case == 'a rank without a confident pixel':
        confidence[:2] = 0.1
    elif case == 'a rank where all is confident':
        confidence[2:] = 1.0
    elif case == 'nothing on a rank':
        label[:2], confidence[:2] = 255, 0.1
    elif case == 'padding on a rank':
        valid = torch.ones(4, SIDE, SIDE, dtype=torch.bool)
        valid[:2, :, 3:] = False
    pseudo = PseudoLabel.of(target, confidence, valid)
    if case == 'more truth on a rank':
        true = torch.zeros(4, SIDE, SIDE, dtype=torch.bool)
        true[:2, :, 1:], true[2:, :, :1] = True, True
        pseudo = pseudo._replace(true=true, confidence=confidence.masked_fill(true, 1))
    return label, pseudo


def part_of(pseudo, rows):
    """The pseudo-labels of a rank; one without padding does not know of that of the other."""
    valid = None if pseudo.valid is None else pseudo.valid[rows]
    valid = None if valid is None or valid.all() else valid
    logits = None if pseudo.logits is None else pseudo.logits[rows]
    true = None if pseudo.true is None else pseudo.true[rows]
    return PseudoLabel(pseudo.label[rows], pseudo.confidence[rows], valid, logits, true=true)


def outputs(rows, seed):
    """Logits and embeddings of each of two students, the latter to be differentiated."""
    g = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(2):
        logits = 2 * torch.randn(4, NUM_CLASSES, SIDE, SIDE, generator=g)
        embedding = torch.randn(4, WIDTH, SIDE, SIDE, generator=g)[rows].clone()
        made.append(PixelOutput(logits[rows], embedding.requires_grad_(), []))
    return made


def contrast(case, rows):
    """Both terms of each student, and the gradient of all embeddings."""
    part = CrossContrast(2, NUM_CLASSES, WIDTH, dict(size=3), threshold=0.5)
    features = part.bank.features
    features.copy_(torch.randn(features.shape, generator=torch.Generator().manual_seed(5)))
    part.bank.count.fill_(3)
    label, pseudo = everything(case)
    pseudo = part_of(pseudo, rows)
    both = PseudoLabel(*(torch.stack([map_, map_]) for map_ in pseudo[:2]))
    labeled, strong = outputs(rows, 2), outputs(rows, 3)
    values = torch.cat(part(labeled, strong, label[rows], both))
    values.sum().backward()
    gradients = torch.cat([output.embedding.grad for output in (*labeled, *strong)], dim=1)
    return values.detach(), gradients


@pytest.mark.parametrize('case', CASES)
def test_contrast_as_one_process(case):
    assert_as_one_process(lambda rows: contrast(case, rows))


def consistency(settings, case, rows):
    """Loss and ratio of confident pixels, and the gradient of the logits."""
    g = torch.Generator().manual_seed(7)
    logits = torch.randn(4, NUM_CLASSES, SIDE // 2, SIDE // 2, generator=g)[rows].clone()
    teacher = torch.randn(4, NUM_CLASSES, SIDE, SIDE, generator=g)
    pseudo = part_of(everything(case)[1]._replace(logits=teacher), rows)
    target, select, normalizer = settings
    part = Consistency(NUM_CLASSES, target, select, normalizer, confidence_threshold=0.5)
    loss, ratio = part(logits.requires_grad_(), pseudo)
    loss.backward()
    return torch.stack([loss.detach(), ratio]), logits.grad


PAIRS = [
    (select, normalizer)
    for select, normalizer in itertools.product(SELECTIONS, NORMALIZERS)
    if select == 'pixel' or normalizer != 'kept'
]


@pytest.mark.parametrize('settings', [(target, *pair) for target in TARGETS for pair in PAIRS])
def test_consistency_as_one_process(settings):
    def all_cases(rows):
        made = [consistency(settings, case, rows) for case in CASES]
        return torch.cat([values for values, _ in made]), torch.cat([grad for _, grad in made], 1)

    assert_as_one_process(all_cases)


@pytest.mark.parametrize('select,normalizer', PAIRS)
def test_collectives_of_the_consistency_do_not_depend_on_the_padding(select, normalizer):
    """A rank without padding must not leave out what another waits for."""

    def body(rank):
        with Counted() as counted:
            rows = slice(2 * rank, 2 * rank + 2)
            consistency(('hard', select, normalizer), 'padding on a rank', rows)
        return counted.calls

    first, second = on_ranks(body)
    assert first == second == {('all_reduce', ()): 1 if normalizer == 'all' else 2}
