# Copyright (c) mmseg_ctt contributors.
"""Losses that mmengine would not sum, classes and weights of heads, losses that count padding."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from toy import (
    OWN_LOSS,
    losses_of,
    ready_model,
    total_of,
    toy_batch,
    toy_model,
    toy_segmentor,
    toy_settings,
)

from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.head_checks import check_heads, config_key, loss_warnings, summed_terms

METHODS_WITH_MASKS = [
    kind
    for kind, method in sorted(registered_methods().items())
    if 'sup' in method.usual_weights() and kind not in OWN_LOSS
]

UNNAMED = [dict(type='PixelCrossEntropyLoss', loss_name='ce'), dict(type='DiceLoss')]
AUXILIARY = dict(
    type='FCNHead',
    in_channels=8,
    in_index=0,
    channels=4,
    num_convs=1,
    concat_input=False,
    num_classes=4,
    norm_cfg=dict(type='BN'),
    align_corners=False,
    loss_decode=dict(type='PixelCrossEntropyLoss'),
)


def changed(head=None, auxiliary=None):
    cfg = toy_segmentor()
    cfg['decode_head'].update(head or {})
    if auxiliary is not None:
        cfg['auxiliary_head'] = [{**AUXILIARY, **auxiliary}]
    return cfg


def models(segmentor):
    """The supervised baseline, and a method around it, with the place of the network's keys."""
    yield 'model', MODELS.build(segmentor)
    yield 'model.segmentor', toy_model('MeanTeacher', segmentor=segmentor)


WRONG = {
    'name': (
        changed(dict(loss_decode=UNNAMED)),
        ['decode_head.loss_decode.0.loss_name', 'loss_ce'],
    ),
    'name of auxiliary head': (
        changed(auxiliary=dict(loss_decode=UNNAMED[0])),
        ['auxiliary_head.0.loss_decode.loss_name'],
    ),
    'no loss': (changed(dict(loss_decode=[])), ['decode_head.loss_decode is empty']),
    'classes': (changed(auxiliary=dict(num_classes=3)), ['auxiliary_head.0.num_classes=3', ' 4 ']),
    'class weights': (
        changed(dict(loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0]))),
        ['decode_head.loss_decode.class_weight has 2', 'num_classes=4'],
    ),
    'level': (
        changed(auxiliary=dict(in_index=2)),
        ['auxiliary_head.0.in_index=2', '2 feature maps'],
    ),
    'padding': (changed(dict(ignore_index=0)), ['seg_pad_val=255', 'decode_head.ignore_index=0']),
}


@pytest.mark.parametrize('name', WRONG)
def test_wrong_heads_are_refused_by_key(name, monkeypatch):
    segmentor, words = WRONG[name]
    for place, model in models(segmentor):
        for network in [model] if place == 'model' else [*model.students, *model.teachers]:
            network.backbone.out_indices = (0, 1)
        with pytest.raises(ValueError) as error:
            check_heads(model)
        assert all(word in str(error.value) for word in words)
        assert 'padding' in name or f'{place}.{words[0].split()[0]}' in str(error.value)


def test_sound_heads_pass():
    stock = dict(type='CrossEntropyLoss', avg_non_ignore=True)
    for _, model in models(changed(dict(loss_decode=[stock, dict(type='DiceLoss')]), dict())):
        check_heads(model)
        assert loss_warnings(model) == []


@pytest.mark.parametrize('kind', METHODS_WITH_MASKS)
def test_no_method_trains_without_its_labels(kind):
    """Neither before the first iteration nor in it."""
    cfg = dict(segmentor=changed(dict(loss_decode=UNNAMED)))
    model = toy_model(kind, **{**toy_settings(kind), **cfg})
    with pytest.raises(ValueError, match='decode_head.loss_decode.0.loss_name'):
        check_heads(model)
    with pytest.raises(ValueError, match='set loss_name="loss_ce"'):
        losses_of(model, toy_batch(4, 4))


@pytest.mark.parametrize('kind', sorted(registered_methods()))
def test_every_term_with_a_gradient_is_summed(kind):
    model = ready_model(kind)
    losses = losses_of(model, toy_batch(4, 4))
    assert [name for name in losses if 'loss' not in name and losses[name].requires_grad] == []
    assert total_of(losses, model).requires_grad


def test_terms_of_a_head_of_its_own():
    weight = torch.ones((), requires_grad=True)
    terms = dict(loss_a=weight * 1, acc_seg=torch.ones(()))
    assert list(summed_terms('decode', terms)) == ['decode.loss_a']
    with pytest.raises(ValueError, match='aux0 gives .*set loss_name="loss_b"'):
        summed_terms('aux0', dict(terms, b=weight * 2))
    with pytest.raises(ValueError, match='give it a loss'):
        summed_terms('decode', dict(acc_seg=torch.ones(())))


@pytest.mark.parametrize(
    'loss, words',
    [
        (dict(type='CrossEntropyLoss'), 'avg_non_ignore=True'),
        (dict(type='CrossEntropyLoss', class_weight=[1.0] * 4), 'index error at the first ignored'),
        (dict(type='CrossEntropyLoss', use_sigmoid=True), None),
        (dict(type='PixelCrossEntropyLoss', class_weight=[1.0] * 4), None),
    ],
)
def test_cross_entropy_that_counts_padding_is_a_warning(loss, words):
    for place, model in models(changed(dict(loss_decode=loss))):
        lines = loss_warnings(model)
        assert len(lines) == (words is not None), 'once, not once a member'
        if words:
            assert words in lines[0] and lines[0].startswith(f'{place}.decode_head.loss_decode: ')
            assert 'PixelCrossEntropyLoss' in lines[0]


def test_reasons_of_the_warnings():
    """What stock cross-entropy does, which the warnings are about."""
    logits, label = torch.randn(1, 4, 4, 4), torch.randint(0, 4, (1, 4, 4))
    label[:, :2] = 255
    stock = MODELS.build(dict(type='CrossEntropyLoss'))
    ours = MODELS.build(dict(type='PixelCrossEntropyLoss'))
    torch.testing.assert_close(
        stock(logits, label, ignore_index=255), ours(logits, label) / 2, rtol=1e-5, atol=0
    )
    weighted = MODELS.build(dict(type='CrossEntropyLoss', class_weight=[1.0] * 4))
    with pytest.raises(IndexError):
        weighted(logits, label, ignore_index=255)


@pytest.mark.parametrize('size', [(4, 6), (8, 12)])
def test_class_weights_with_ignored_pixels(size):
    """The weighted mean of PyTorch, value and gradient."""
    weight = [0.5, 2.0, 0.0, 1.0]
    logits = torch.randn(2, 4, 4, 6, requires_grad=True)
    label = torch.randint(0, 4, (2, *size))
    label[:, 0] = 255
    full = F.interpolate(logits, size, mode='bilinear')
    want = F.cross_entropy(full, label, torch.tensor(weight), ignore_index=255)
    loss = MODELS.build(dict(type='PixelCrossEntropyLoss', class_weight=weight, loss_weight=3.0))
    got = loss(logits, label)
    torch.testing.assert_close(got, 3 * want)
    gradients = [torch.autograd.grad(value, logits, retain_graph=True)[0] for value in (got, want)]
    torch.testing.assert_close(gradients[0], 3 * gradients[1])
    assert loss(logits, torch.full_like(label, 255)) == 0
    assert 'weight_of_class' not in loss.state_dict(), 'checkpoints stay loadable'


def test_keys_of_members():
    model = toy_model('CrossTeacherTraining')
    assert config_key(model, 'students.1.decode_head') == 'model.segmentor.decode_head'
    assert config_key(model, 'teachers.0') == config_key(model, 'old') == 'model.segmentor'
    assert config_key(model.students[0], 'backbone.stem') == 'model.backbone.stem'
    assert config_key(model, '') == 'model'
