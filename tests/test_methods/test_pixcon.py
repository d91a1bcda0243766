# Copyright (c) mmseg_ctt contributors.
"""PixCon, written out; its mathematics is in test_pixel_contrasts.py."""

import pytest
import torch
from toy import losses_of, prepared, toy_batch, toy_model, toy_settings

from mmseg_ctt.functional import downsample_nearest
from mmseg_ctt.functional.unit import unit
from mmseg_ctt.methods.pixcon.contrast import Candidates, admitted_pixels
from mmseg_ctt.methods.pixcon.functional import summed_positives_contrast
from mmseg_ctt.nn.projection import rows


def ready(kind='PixCon', **settings):
    model = toy_model(kind, **toy_settings(kind, **settings))
    torch.manual_seed(11)
    for name in ('student0', 'teacher0'):
        model.member(name).decode_head.conv_seg.weight.data.normal_(std=0.1)
    return model


def test_without_contrast_it_is_unimatch_v2():
    plain = losses_of(ready('UniMatchV2'), toy_batch())
    off = ready(loss_weights=dict(contrast=0))
    assert off.contrast is None and losses_of(off, toy_batch()) == plain
    both = losses_of(ready(), toy_batch())
    assert set(both) - set(plain) == {
        'student0.loss_contrast',
        'student0.admitted_ratio',
        'queue_fill',
    }
    for key, value in plain.items():
        torch.testing.assert_close(both[key], value)


def test_anchors_meet_the_memory_of_former_steps():
    """In the first step it is empty; in the second it holds the clean pixels of the first."""
    bank = dict(size=64, budget=64)
    model = ready(bank=bank, contrast=dict(dim=8), joint_forward=False)
    losses = losses_of(model, toy_batch())
    assert losses['student0.loss_contrast'] == 0
    bank = {key: value.clone() for key, value in model.contrast.bank.named_buffers()}
    data = prepared(model)
    output = model.forward_member('student0', data['inputs']['labeled'])[0]
    truth = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])
    predicted = output.logits.argmax(1)
    clean = predicted == downsample_nearest(truth, (8, 8))
    number = [int((clean & (predicted == c)).sum()) for c in range(4)]
    assert bank['count'].tolist() == number and 0 < sum(number) < 128
    assert losses['student0.admitted_ratio'] == pytest.approx(sum(number) / 128)
    filled = model.contrast.bank.filled
    torch.testing.assert_close(
        bank['features'].norm(dim=2)[filled], torch.ones(sum(number)), rtol=1e-5, atol=0
    )
    feature = unit(rows(model.contrast.projection(output.embedding)))
    want = summed_positives_contrast(
        feature, predicted.flatten(), bank['features'], filled, 0.1, clean.flatten()
    )
    got = model.contrast(output, truth, [(7, 0), (7, 1)])[0]
    assert want > 0
    torch.testing.assert_close(got, want)
    assert not torch.equal(model.contrast.bank.features, bank['features'])  # it has entered


def test_which_pixels_are_admitted():
    truth = torch.tensor([0, 1, 1, 255, 2])
    predicted, confidence = torch.tensor([0, 1, 2, 2, 0]), torch.tensor([0.2, 0.9, 0.9, 0.9, 0.9])
    found = {}
    for rule in ('clean', 'labeled', 'confident'):
        label, valid = admitted_pixels(truth, predicted, confidence, 3, rule, 0.5)
        found[rule] = dict(zip(valid.nonzero().flatten().tolist(), label[valid].tolist()))
    assert found['clean'] == {0: 0, 1: 1}
    assert found['labeled'] == {0: 0, 1: 1, 2: 1, 4: 2}
    assert found['confident'] == {1: 1, 2: 2, 4: 0}


@pytest.mark.parametrize('admitted', ['labeled', 'confident'])
def test_other_rules(admitted):
    model = ready(contrast=dict(dim=8, admitted=admitted))
    first, second = (losses_of(model, toy_batch(seed=s)) for s in range(2))
    clean = losses_of(ready(), toy_batch())['student0.admitted_ratio']
    ratio = first['student0.admitted_ratio']
    assert ratio == 1 if admitted == 'labeled' else ratio == 0  # nothing is sure of 0.95
    assert 0 < clean < 1 and bool(second['student0.loss_contrast'] > 0) == (admitted == 'labeled')


def test_number_of_anchors():
    contrast = ready(bank=dict(size=8, budget=8), contrast=dict(dim=8, max_anchors=20)).contrast
    label = torch.arange(4).repeat_interleave(torch.tensor([3, 10, 10, 10]))
    noise = torch.rand(33, generator=torch.Generator().manual_seed(0))
    pixels = Candidates(label, torch.ones(33, dtype=torch.bool), noise)
    index, number, chosen = contrast.anchors(pixels, [(7, 0)])
    assert len(index) == 20 and chosen.all() and len(set(index.tolist())) == 20
    assert torch.equal(label[index], number)
    taken = index[number == 1]  # of the ten, the eight of the highest scores
    assert set(taken.tolist()) <= set((noise[3:13].topk(8).indices + 3).tolist())
    other = contrast.anchors(pixels, [(7, 1)])[0]
    assert set(other.tolist()) != set(index.tolist())


@pytest.mark.parametrize(
    'settings,sentence',
    [
        (dict(contrast=dict(admitted='all')), 'model.contrast.admitted'),
        (dict(contrast=dict(confidence_threshold=0.9)), "is of admitted='confident'"),
        (dict(contrast=dict(max_anchors=0)), 'model.contrast.max_anchors'),
        (dict(bank=dict(dim=7)), 'set model.contrast.dim instead'),
    ],
)
def test_bad_settings(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ready(**settings)
