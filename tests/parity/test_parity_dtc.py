# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of DTC gives on stored inputs (``oracles/dtc``)."""

import numpy as np
import pytest
from released_code import close, every_case

from mmseg_ctt import functional
from mmseg_ctt.datasets.signed_distance import signed_distance


@every_case('dtc', 'compute_sdf')
def test_signed_distance(case, record_property):
    data = case.load()
    got = [signed_distance(mask.numpy(), empty='zeros', boundary='zero') for mask in data.mask]
    error = np.abs(np.stack(got) - data.sdf.numpy()).max()
    record_property('sdf', float(error))
    assert error <= 1e-12


@every_case('dtc', 'dice_loss')
@pytest.mark.parametrize('double', [False, True])
def test_dice_loss(case, double, record_property):
    data = case.load(double)
    logits = data.logits.requires_grad_()
    loss = functional.squared_dice_loss(
        logits.sigmoid().unsqueeze(1), data.target.unsqueeze(1), smooth=data.smooth
    )
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_logits, data.tolerance(1e-5)))


@every_case('dtc', 'dice_loss')
def test_dice_loss_of_a_softmax_over_two_classes(case, record_property):
    data = case.load()
    logits = data.logits.requires_grad_()
    probability = functional.two_class_logits(logits.unsqueeze(1)).softmax(1)[:, 1:]
    loss = functional.squared_dice_loss(probability, data.target.unsqueeze(1), smooth=data.smooth)
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_logits, data.tolerance(1e-5)))


@every_case('dtc', 'sigmoid_rampup')
def test_ramp(case, record_property):
    data = case.load()
    for current, value in zip(data.current.tolist(), data.value.tolist()):
        got = functional.sigmoid_ramp(current, data.rampup_length)
        assert got == pytest.approx(value, rel=1e-12)


@every_case('dtc', 'consistency')
@pytest.mark.parametrize('double', [False, True])
def test_consistency(case, double, record_property):
    data = case.load(double)
    level_set, logits = data.level_set.requires_grad_(), data.logits.requires_grad_()
    loss = functional.dual_task_consistency(level_set, logits.sigmoid(), data.k)
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    for name, leaf in (('level_set', level_set), ('logits', logits)):
        error = close(leaf.grad, data[f'grad_{name}'], data.tolerance(1e-5))
        record_property(f'gradient {name}', error)
