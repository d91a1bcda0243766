# Copyright (c) mmseg_ctt contributors.
"""Binary cross-entropy of every class as a loss of a head."""

import pytest
import torch
from toy import losses_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.deploy.export.stock_types import stock_losses
from mmseg_ctt.functional import sigmoid_cross_entropy
from mmseg_ctt.nn import PixelSigmoidLoss


@pytest.fixture
def maps():
    g = torch.Generator().manual_seed(0)
    logits, label = (
        torch.randn(2, 4, 3, 5, generator=g),
        torch.randint(0, 4, (2, 6, 10), generator=g),
    )
    label[:, :, :3] = 255
    return logits, label


def test_settings(maps):
    logits, label = maps
    want = sigmoid_cross_entropy(logits, label)
    assert PixelSigmoidLoss(loss_weight=3)(logits, label) == 3 * want
    torch.testing.assert_close(PixelSigmoidLoss(over_all=True)(logits, label), want * 0.7)
    filled = label.masked_fill(label == 255, 0)
    trained = PixelSigmoidLoss(void_as_background=True)(logits, label)
    assert trained == sigmoid_cross_entropy(logits, filled) != want
    other = label.masked_fill(label == 255, 9)
    assert PixelSigmoidLoss()(logits, other, ignore_index=9) == want
    with pytest.raises(ValueError, match='PixelSigmoidLoss takes no pixel weights'):
        PixelSigmoidLoss()(logits, label, torch.ones_like(label))


def test_in_a_head():
    cfg = toy_segmentor()
    cfg['decode_head']['loss_decode'] = dict(type='PixelSigmoidLoss', loss_weight=0.5)
    losses = losses_of(toy_model('MeanTeacher', segmentor=cfg), toy_batch())
    assert 'student0.decode.loss_bce' in losses and losses['student0.decode.loss_bce'] > 0


def test_stock_mmseg_has_the_mean_over_the_classes():
    given = dict(type='PixelSigmoidLoss', loss_weight=2.0, over_all=True)
    assert stock_losses([given]) == [
        dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True, loss_weight=2.0)
    ]
