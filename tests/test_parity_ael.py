# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of AEL gives on stored inputs (``oracles/ael``)."""

import pytest
import torch
from oracles import ReleasedCode, close_to_largest
from reference import ael as slow

from mmseg_ctt import functional

RELEASED = ReleasedCode(
    'ael',
    {
        'Criterion_cons': ('city_gamma2', 'voc_thr0.7'),
        'Criterion_cons_sample': ('base',),
        'cal_category_confidence': ('base', 'all_classes'),
    },
)


def check_loss(data, keep, record_property):
    logits = data.preds.clone().requires_grad_()
    loss = functional.equalized_consistency(
        logits, data.gt, data.conf, keep, data.gamma, data.ignore_index
    )
    loss.backward()
    record_property('loss', close_to_largest(loss, data.loss, 1e-5))
    record_property('gradient', close_to_largest(logits.grad, data.grad_preds, 1e-5))
    assert slow.consistency(
        data.preds, data.gt, data.conf, data.gamma, keep, data.ignore_index
    ) == pytest.approx(data.loss, rel=1e-9)


@RELEASED.cases('Criterion_cons')
def test_criterion_cons(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'Criterion_cons', case)
    assert (data.gt[data.conf < data.threshold] == data.ignore_index).all()
    check_loss(data, None, record_property)


@RELEASED.cases('Criterion_cons_sample')
def test_criterion_cons_sample(shared_dir, case, record_property):
    """The released code samples by the student's class, with one map a class for the batch."""
    data = RELEASED.load(shared_dir, 'Criterion_cons_sample', case)
    by = data.preds.argmax(dim=1)
    noise = data.rand_map.gather(0, by)
    keep = functional.equalized_sample(by, data.category_confidence, noise, data.gamma2)
    assert torch.equal(keep, data.keep) and 0 < keep.sum() < keep.numel()
    record_property('mismatches', 0)
    check_loss(data, keep, record_property)


@RELEASED.cases('cal_category_confidence')
def test_cal_category_confidence(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'cal_category_confidence', case)
    total, count = functional.class_confidence_sums(
        data.preds_student_sup, data.gt, data.num_classes
    )
    bank = functional.confidence_bank_update(
        data.bank_before, total, count, data.momentum, skip_absent=False
    )
    confidence = functional.confidence_bank_update(
        data.bank_before, total, count, 0.0, skip_absent=False
    )
    for got, want in ((confidence, data.confidence), (bank, data.bank_after)):
        torch.testing.assert_close(got, want, atol=1e-6, rtol=0)
    record_property('confidence', (confidence - data.confidence).abs().max().item())
    record_property('bank', (bank - data.bank_after).abs().max().item())
