# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of WILSON gives on stored inputs (``oracles/wilson``)."""

import pytest
import torch
from released_code import close, every_case

from mmseg_ctt.methods.wilson import functional, losses


@every_case('wilson', 'ngwp_focal')
@pytest.mark.parametrize('double', [False, True])
def test_pooled_scores(case, double, record_property):
    data = case.load(double)
    logits = data.outputs.requires_grad_()
    scores = functional.pooled_scores(logits, data.norm_eps, data.focal, data.gamma, data.lam)
    loss = (scores * data.upstream).sum()
    loss.backward()
    record_property('scores', close(scores, data.scores, data.tolerance(1e-5)))
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_outputs, data.tolerance(1e-5)))


@every_case('wilson', 'bce_loss')
@pytest.mark.parametrize('double', [False, True])
def test_classification_loss(case, double, record_property):
    data = case.load(double)
    assert data.mode == 'ngwp'
    logits = data.outputs.requires_grad_()
    reduction = 'sum' if data.reduction_is_sum else 'mean'
    loss = losses.classification_loss(functional.pooled_scores(logits), data.labels, reduction)
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_outputs, data.tolerance(1e-5)))


@every_case('wilson', 'binarize')
def test_binarize(case):
    data = case.load()
    assert torch.equal(functional.binarize(data.input), data.output)


@every_case('wilson', 'pseudo_gtmask')
def test_hard_map(case):
    data = case.load()
    claimed = functional.hard_map(
        data.mask, data.cutoff_top, data.cutoff_bkg, data.cutoff_low, data.ambiguous
    )
    assert torch.equal(claimed, data.pseudo_gt)


@every_case('wilson', 'balanced_mask_loss_ce')
@pytest.mark.parametrize('double', [False, True])
def test_balanced_cross_entropy(case, double, record_property):
    data = case.load(double)
    logits = data.mask.requires_grad_()
    loss, kept = losses.balanced_cross_entropy(logits, data.pseudo_gt, data.gt_labels)
    loss.backward()
    assert kept.tolist() == data.image_kept.bool().tolist()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_mask, data.tolerance(1e-5)))
