# Copyright (c) mmseg_ctt contributors.
"""Squared Dice as a loss of a head."""

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from reference import dtc as reference
from toy import losses_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.nn import SquaredDiceLoss
from mmseg_ctt.nn.head_checks import check_heads


def maps(classes, seed=0):
    g = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, 4, 5, generator=g)
    label = torch.randint(0, max(classes, 2), (2, 4, 5), generator=g)
    label[0, 0] = 255
    return logits, label


def restated(logits, label, numbers, weight=None):
    probability = logits.softmax(1) if logits.shape[1] > 1 else logits.sigmoid()
    if logits.shape[1] > 1:
        probability = probability[:, numbers]
    target = np.stack([label.numpy() == k for k in numbers], axis=1)
    used = (label != 255).numpy() * (1 if weight is None else weight.numpy())
    return reference.squared_dice_loss(probability.numpy(), target, used)


@pytest.mark.parametrize(
    'classes, background, numbers',
    [(1, None, [1]), (2, 0, [1]), (2, None, [0, 1]), (4, 1, [0, 2, 3])],
)
def test_values(classes, background, numbers):
    logits, label = maps(classes)
    loss = SquaredDiceLoss(background=background, loss_weight=3.0)
    want = restated(logits, label, numbers)
    assert loss(logits, label).item() == pytest.approx(3 * want, rel=1e-5)
    weight = torch.rand(2, 4, 5)
    want = restated(logits, label, numbers, weight)
    assert loss(logits, label, weight).item() == pytest.approx(3 * want, rel=1e-5)


def test_ignore_index_is_a_label():
    logits, label = maps(3)
    other = label.masked_fill(label == 255, 9)
    assert SquaredDiceLoss()(logits, other, ignore_index=9) == SquaredDiceLoss()(logits, label)


@pytest.mark.parametrize('smooth', [0, -1.0])
def test_smooth_must_be_positive(smooth):
    with pytest.raises(ValueError, match=r'SquaredDiceLoss\.smooth must be positive'):
        SquaredDiceLoss(smooth=smooth)


@pytest.mark.parametrize('kind', ['MeanTeacher', 'DualTaskConsistency'])
def test_in_a_head_of_any_method(kind):
    terms = [dict(type='PixelCrossEntropyLoss'), dict(type='SquaredDiceLoss', background=0)]
    segmentor = toy_segmentor()
    segmentor['decode_head']['loss_decode'] = terms
    model = toy_model(kind, segmentor=segmentor)
    check_heads(model)
    losses = losses_of(model, toy_batch())
    assert 0 < losses['student0.decode.loss_dice'] < 1 and losses['student0.decode.loss_ce'] > 0


def test_in_a_plain_segmentor():
    segmentor = toy_segmentor()
    segmentor['decode_head']['loss_decode'] = dict(type='SquaredDiceLoss')
    segmentor['data_preprocessor']['size'] = (32, 32)
    model, batch = MODELS.build(segmentor), toy_batch(2, 0)
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    losses['decode.loss_dice'].backward()
    assert model.backbone.stem.weight.grad.abs().sum() > 0


def test_a_softmax_over_one_channel_is_refused():
    segmentor = toy_segmentor(num_classes=2)
    segmentor['decode_head'].update(
        out_channels=1, threshold=0.5, loss_decode=dict(type='CrossEntropyLoss')
    )
    with pytest.raises(
        ValueError, match='^model.decode_head.loss_decode: a softmax over the singl'
    ):
        check_heads(MODELS.build(segmentor))
    for term in (
        dict(type='CrossEntropyLoss', use_sigmoid=True),
        dict(type='PixelCrossEntropyLoss'),
        dict(type='SquaredDiceLoss'),
    ):
        segmentor['decode_head']['loss_decode'] = term
        check_heads(MODELS.build(segmentor))
