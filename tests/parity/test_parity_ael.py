# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of AEL gives on stored inputs (``oracles/ael``)."""

import pytest
import torch
from reference import ael as slow
from released_code import close, every_case

from mmseg_ctt import functional


def check_loss(data, keep, record_property):
    logits = data.preds.clone().requires_grad_()
    loss = functional.equalized_consistency(
        logits, data.gt, data.conf, keep, data.gamma, data.ignore_index
    )
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_preds, data.tolerance(1e-5)))
    assert slow.consistency(
        data.preds, data.gt, data.conf, data.gamma, keep, data.ignore_index
    ) == pytest.approx(data.loss, rel=1e-9)


@every_case('ael', 'Criterion_cons')
def test_criterion_cons(case, record_property):
    check_loss(case.load(), None, record_property)


@every_case('ael', 'Criterion_cons_sample')
def test_criterion_cons_sample(case, record_property):
    """The released code samples by the student's class, with one map a class for the batch."""
    data = case.load()
    by = data.preds.argmax(dim=1)
    noise = data.rand_map.gather(0, by)
    keep = functional.equalized_sample(by, data.category_confidence, noise, data.gamma2)
    assert torch.equal(keep, data.keep)
    record_property('mismatches', 0)
    check_loss(data, keep, record_property)


@every_case('ael', 'cal_category_confidence')
def test_cal_category_confidence(case, record_property):
    data = case.load()
    label = data.gt.masked_fill(data.gt == data.ignore_index, -1)
    total, count = functional.class_confidence_sums(data.preds_student_sup, label, data.num_classes)
    update = functional.confidence_bank_update
    got = {
        'confidence': update(data.bank_before, total, count, 0.0, skip_absent=False),
        'bank_after': update(data.bank_before, total, count, data.momentum, skip_absent=False),
    }
    for name, value in got.items():
        torch.testing.assert_close(value, data[name], atol=1e-6, rtol=0)
        record_property(name, (value - data[name]).abs().max().item())
