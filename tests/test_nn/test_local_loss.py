# Copyright (c) mmseg_ctt contributors.
"""Locally adaptive learning loss as a loss of a head, in plain segmentors and in students."""

import copy
import re

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from networks import NETWORKS
from no_sync import record
from reference import locally_adaptive as reference
from toy import (
    OWN_LOSS,
    SIDE,
    losses_of,
    total_of,
    toy_batch,
    toy_model,
    toy_segmentor,
    toy_settings,
)

from mmseg_ctt.deploy.export.stock_types import find_own, stock_losses
from mmseg_ctt.functional import locally_adaptive_loss
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn import LocallyAdaptiveLoss
from mmseg_ctt.nn.head_checks import check_heads
from mmseg_ctt.nn.loss_maps import loss_maps

SUPERVISED = [
    kind
    for kind, method in sorted(registered_methods().items())
    if 'labeled' in method.sources and method.trains_heads and kind not in OWN_LOSS
]
LAL = dict(type='LocallyAdaptiveLoss')
CE = dict(type='PixelCrossEntropyLoss')
HEADS = ('SegformerHead', 'EncHead', 'OCRHead', 'DDRHead', 'PSPHead, auxiliary FCNHead', 'UPerHead')


def maps(classes=4):
    g = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, classes, 6, 5, generator=g)
    label = torch.randint(0, max(classes, 2), (2, 6, 5), generator=g)
    label[0, 0] = 255
    return logits, label


def plain(loss=LAL, name=None, **head):
    """A plain segmentor of the toy network or of another one, with this loss in all heads."""
    torch.manual_seed(0)
    cfg = copy.deepcopy(toy_segmentor() if name is None else NETWORKS[name])
    for part in ('decode_head', 'auxiliary_head'):
        heads = cfg.get(part) or []
        for one in heads if isinstance(heads, list) else [heads]:
            several = isinstance(one['loss_decode'], list) and not isinstance(loss, list)
            one['loss_decode'] = [loss] * len(one['loss_decode']) if several else loss
    cfg['decode_head'].update(head) if head else None
    cfg['data_preprocessor']['size'] = (SIDE, SIDE)
    return MODELS.build(cfg).train()


# ---- settings


def test_settings_are_those_of_the_function():
    logits, label = maps()
    options = dict(kernel_size=5, stride=2, sigma=2.0, k=3.0, norm='count', mode='center')
    other = label.masked_fill(label == 255, 9)
    got = LocallyAdaptiveLoss(**options, loss_weight=0.5)(logits, other, ignore_index=9)
    assert got == 0.5 * locally_adaptive_loss(logits, label, **options)
    options = dict(merge='probs', root=False)
    got = LocallyAdaptiveLoss(**options)(logits, label)
    assert got == locally_adaptive_loss(logits, label, **options)
    weight, of_class = torch.rand(2, 6, 5), [1.0, 2.0, 0.5, 0.0]
    got = LocallyAdaptiveLoss(class_weight=of_class)(logits, label, weight)
    want = reference.locally_adaptive_loss(
        logits.numpy(), label.numpy(), class_weight=of_class, pixel_weight=weight.numpy()
    )
    assert got.item() == pytest.approx(want, rel=1e-5)


def test_one_channel():
    logits, label = maps(1)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    assert LocallyAdaptiveLoss()(logits, label) == LocallyAdaptiveLoss()(two, label)


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(kernel_size=4), 'kernel_size=4: a window has a pixel in its centre'),
        (dict(kernel_size=-1), 'kernel_size=-1: '),
        (dict(stride=0), 'stride=0: '),
        (dict(norm='mean'), "norm='mean': choose from weight, count"),
        (dict(avg_non_ignore=False), 'avg_non_ignore=False: .*remove the setting'),
        (dict(class_weight=[1.0, -1.0]), r'class_weight\[1\] must be at least 0'),
    ],
)
def test_errors_name_the_setting(settings, words):
    with pytest.raises(ValueError, match=rf'^decode_head\.loss_decode\.{words}'):
        LocallyAdaptiveLoss(**settings)
    with pytest.raises(ValueError, match=rf'decode_head\.loss_decode\.{words}'):
        plain(dict(LAL, **settings))


@pytest.mark.parametrize('value', [None, '1', True, [1]])
@pytest.mark.parametrize('name', ['kernel_size', 'stride', 'sigma', 'k', 'loss_weight'])
def test_numbers_that_are_none(name, value):
    with pytest.raises(
        TypeError, match=rf'^decode_head\.loss_decode\.{name} must be an? (number|integer)'
    ):
        LocallyAdaptiveLoss(**{name: value})


@pytest.mark.parametrize(
    'settings, error, words',
    [
        (dict(root=None), ValueError, 'root must be one of'),
        (dict(loss_weight=-1), ValueError, 'loss_weight must be at least 0'),
        (dict(loss_weight=float('nan')), ValueError, 'loss_weight must be at least 0'),
        (dict(class_weight=[1, -1]), ValueError, r'class_weight\[1\] must be at least 0'),
        (dict(class_weight=[float('nan')]), ValueError, r'class_weight\[0\] must be at least 0'),
        (dict(class_weight=[1, '2']), TypeError, r'class_weight\[1\] must be a number'),
        (dict(class_weight=5), TypeError, 'class_weight must be a list'),
    ],
)
def test_settings_of_wrong_types_or_signs(settings, error, words):
    with pytest.raises(error, match=rf'^decode_head\.loss_decode\.{words}'):
        LocallyAdaptiveLoss(**settings)


def test_class_weights_of_another_number():
    with pytest.raises(ValueError, match='class_weight has 3 entries for num_classes=4'):
        check_heads(plain(dict(LAL, class_weight=[1.0, 2.0, 3.0])))


# ---- plain segmentors


def test_in_a_plain_segmentor():
    model, batch = plain([CE, LAL]), toy_batch(2, 0)
    check_heads(model)
    data = model.data_preprocessor(batch, True)
    losses = model(**data, mode='loss')
    logits = torch.nn.functional.interpolate(
        model.decode_head(model.extract_feat(data['inputs'])), (SIDE, SIDE), mode='bilinear'
    )
    label = torch.cat([sample.gt_sem_seg.data for sample in data['data_samples']])
    want = locally_adaptive_loss(logits, label)
    torch.testing.assert_close(losses['decode.loss_lal'], want, rtol=1e-4, atol=1e-5)
    losses['decode.loss_lal'].backward()
    assert model.backbone.stem.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('name', HEADS)
def test_heads_of_mmseg(name):
    losses = losses_of(plain(LAL, name), toy_batch(2, 0))
    found = {key: value for key, value in losses.items() if re.search('loss_(?!se)', key)}
    assert found and all(value > 0 and torch.isfinite(value) for value in found.values())


def test_a_head_of_one_channel():
    cfg = toy_segmentor(num_classes=2)
    cfg['decode_head'].update(out_channels=1, threshold=0.5, loss_decode=LAL)
    cfg['data_preprocessor']['size'] = (SIDE, SIDE)
    model, batch = MODELS.build(cfg), toy_batch(2, 0)
    check_heads(model)
    for sample in batch['data_samples']:
        sample.gt_sem_seg.data[sample.gt_sem_seg.data != 255] %= 2
    assert losses_of(model, batch)['decode.loss_lal'] > 0


def test_a_pixel_sampler_chooses_the_pixels_of_groups():
    model = plain(sampler=dict(type='OHEMPixelSampler', thresh=0.3, min_kept=50))
    batch = toy_batch(2, 0)
    data = model.data_preprocessor(batch, True)
    got = model(**data, mode='loss')['decode.loss_lal']
    model.decode_head.sampler = None
    assert torch.isfinite(got) and got != model(**data, mode='loss')['decode.loss_lal']


def test_a_sampler_that_needs_the_loss_of_each_pixel():
    model = plain(sampler=dict(type='OHEMPixelSampler', min_kept=50))
    with pytest.raises(ValueError, match=r'set decode_head\.sampler\.thresh=0\.7'):
        losses_of(model, toy_batch(2, 0))


def test_a_weight_map_of_the_samples():
    model, batch = plain(dict(LAL, weight_map='consensus_margin')), toy_batch(2, 0)
    g = torch.Generator().manual_seed(0)
    for sample in batch['data_samples']:
        sample.consensus_margin = PixelData(
            data=torch.rand(sample.gt_sem_seg.shape, generator=g).unsqueeze(0)
        )
    term = model.decode_head.loss_decode
    logits = torch.randn(2, 4, SIDE, SIDE, generator=g)
    label = torch.cat([sample.gt_sem_seg.data for sample in batch['data_samples']])
    weight = torch.cat([sample.consensus_margin.data for sample in batch['data_samples']])
    with loss_maps(model, batch['data_samples']):
        got, both = term(logits, label), term(logits, label, weight)
    assert got == locally_adaptive_loss(logits, label, pixel_weight=weight)
    assert both == locally_adaptive_loss(logits, label, pixel_weight=weight.square())
    with pytest.raises(ValueError, match='reads the map consensus_margin'):
        term(logits, label)


def test_no_synchronisation():
    logits, label = maps()
    term = LocallyAdaptiveLoss(class_weight=[1.0, 2.0, 0.5, 1.0])
    logits.requires_grad_()
    assert not record(lambda: term(logits, label, torch.ones(2, 6, 5)).backward())


# ---- students


@pytest.mark.parametrize('kind', SUPERVISED)
def test_supervised_term_of_every_method(kind):
    """Beside the cross-entropy, which stays, it gives other gradients, in any method."""
    gradients, terms = [], []
    for loss in (CE, [CE, LAL]):
        head = dict(toy_segmentor()['decode_head'], loss_decode=loss)
        settings = dict(toy_settings(kind), segmentor=toy_segmentor(decode_head=head))
        model = toy_model(kind, **settings)
        losses = losses_of(model, toy_batch())
        assert all(torch.isfinite(value).all() for value in losses.values())
        total_of(losses, model).backward()
        gradients.append(model.students[0].decode_head.conv_seg.weight.grad)
        terms.append(losses)
    plain_terms, both = terms
    added = {key for key in both if key.endswith('decode.loss_lal')}
    assert set(both) == set(plain_terms) | added and added
    assert all(both[key] > 0 for key in added)
    key = 'student0.decode.loss_ce'
    torch.testing.assert_close(both[key], plain_terms[key])
    assert not torch.allclose(*gradients)


def test_ignored_labels_give_a_zero():
    head = dict(toy_segmentor()['decode_head'], loss_decode=LAL)
    model = toy_model('CrossTeacherTraining', segmentor=toy_segmentor(decode_head=head))
    batch = toy_batch()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data.fill_(255)
    losses = losses_of(model, batch)
    total_of(losses, model).backward()
    assert losses['student0.decode.loss_lal'] == 0


def test_half_precision_around_a_step():
    head = dict(toy_segmentor()['decode_head'], loss_decode=LAL)
    model = toy_model('CrossTeacherTraining', segmentor=toy_segmentor(decode_head=head))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = losses_of(model, toy_batch())
    value = losses['student0.decode.loss_lal']
    assert value.dtype == torch.float32 and torch.isfinite(value)


# ---- export


def test_stock_mmseg_has_the_cross_entropy():
    alone = dict(decode_head=dict(loss_decode=dict(LAL, kernel_size=5, loss_weight=0.5)))
    assert stock_losses(alone)['decode_head']['loss_decode'] == dict(
        type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True, loss_weight=0.5
    )
    listed = stock_losses([CE, dict(LAL, stride=3)])
    assert listed == [stock_losses(CE)]
    assert not list(find_own([listed, stock_losses(alone), stock_losses([LAL])]))


def test_a_step_lowers_it():
    """A few steps of SGD on two images."""
    model, batch = plain(), toy_batch(2, 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    values = []
    for _ in range(15):
        loss = losses_of(model, copy.deepcopy(batch))['decode.loss_lal']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert np.mean(values[-3:]) < 0.9 * values[0]
