# Copyright (c) mmseg_ctt contributors.
"""Stored values of the locally adaptive learning loss (``oracles/lal``).

No code of it was published: they come from a nested loop of the formula.
"""

import pytest
import torch
from reference import locally_adaptive as reference
from released_code import DOUBLE, close, every_case

from mmseg_ctt import functional

NAMES = ('kernel_size', 'stride', 'sigma', 'merge', 'norm', 'mode', 'ignore_index')


def options(data):
    return {name: data[name] for name in (*NAMES, 'k', 'root')}


@every_case('lal', 'locally_adaptive_loss')
@pytest.mark.parametrize('double', [False, True])
@pytest.mark.parametrize('elements', [1 << 22, 1])
def test_locally_adaptive_loss(case, double, elements, record_property, monkeypatch):
    """In a single chunk, and a row of windows at a time."""
    monkeypatch.setattr('mmseg_ctt.functional.locally_adaptive.CHUNK_ELEMENTS', elements)
    data = case.load(double)
    logits = data.logits.requires_grad_()
    loss = functional.locally_adaptive_loss(logits, data.labels, **options(data))
    loss.backward()
    tolerance = DOUBLE if double else 1e-5
    record_property('loss', close(loss, data.loss, tolerance))
    record_property('gradient', close(logits.grad, data.grad_logits, tolerance))


@every_case('lal', 'locally_adaptive_loss')
def test_terms_of_the_restatement(case):
    data = case.load()
    wanted = {name: data[name] for name in NAMES}
    found = reference.terms(data.logits.numpy(), data.labels.numpy(), **wanted)
    assert len(found) == data.num_terms
    close(torch.tensor([value for _, value in found], dtype=torch.float64), data.terms, 1e-9)
