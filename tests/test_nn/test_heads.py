# Copyright (c) mmseg_ctt contributors.
"""Cascades of decode heads predict and train as mmseg's own segmentor does."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from toy import NUM_CLASSES, losses_of, ready_model, sample, total_of, toy_batch, toy_segmentor

from mmseg_ctt.nn.heads import HeadCascade, side_heads
from mmseg_ctt.nn.member import build_member, forward_member, supervised_losses


def cascade(**changes) -> dict:
    """OCRNet on the toy backbone, without dropout."""
    first = toy_segmentor()['decode_head']
    second = dict(
        type='OCRHead',
        in_channels=8,
        in_index=1,
        channels=8,
        ocr_channels=4,
        dropout_ratio=0,
        num_classes=NUM_CLASSES,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )
    changes.setdefault('decode_head', [dict(first), second])
    return toy_segmentor(type='CascadeEncoderDecoder', num_stages=2, **changes)


@pytest.fixture
def pair():
    """A member and mmseg's own segmentor of the same weights, images and samples."""
    torch.manual_seed(0)
    member, stock = build_member(cascade()), MODELS.build(ConfigDict(cascade()))
    stock.load_state_dict(member.state_dict())
    images = torch.randn(2, 3, 32, 32)
    label = torch.randint(0, NUM_CLASSES, (2, 1, 32, 32))
    return member, stock, images, [sample('labeled', i, label[i]) for i in range(2)]


def test_logits_and_losses_are_those_of_mmseg(pair):
    member, stock, images, samples = pair
    output = forward_member(member.train(), images)
    stock.train()
    torch.testing.assert_close(output.logits, stock._forward(images))
    losses = supervised_losses(member, output, samples)
    theirs = stock.loss(images, samples)
    assert set(losses) == {'stage0.loss_ce', 'decode.loss_ce'}
    torch.testing.assert_close(losses['stage0.loss_ce'], theirs['decode_0.loss_ce'])
    torch.testing.assert_close(losses['decode.loss_ce'], theirs['decode_1.loss_ce'])


def test_the_embedding_is_that_of_the_last_head(pair):
    member, _, images, _ = pair
    output = forward_member(member.eval(), images)
    torch.testing.assert_close(member.decode_head[1].conv_seg(output.embedding), output.logits)


def test_prediction_and_weights_are_those_of_mmseg(pair):
    member, stock, images, _ = pair
    metas = [dict(img_shape=(32, 32), ori_shape=(32, 32), pad_shape=(32, 32))] * 2
    with torch.no_grad():
        ours, theirs = (net.eval().inference(images, metas) for net in (member, stock))
    torch.testing.assert_close(ours, theirs)
    assert any(name.startswith('decode_head.1.') for name in member.state_dict())


def test_attributes_are_those_of_the_last_head():
    head = build_member(cascade()).decode_head
    assert isinstance(head, HeadCascade) and head.conv_seg is head[1].conv_seg
    assert head.channels == 8 and len(head.early) == 1
    with pytest.raises(AttributeError):
        head.no_such_name  # noqa: B018
    assert copy.deepcopy(head).conv_seg is not head.conv_seg


@pytest.mark.parametrize('kind', ['CrossTeacherTraining', 'STPG', 'MeanTeacher', 'U2PL'])
def test_a_step_of_a_method(kind):
    """Every head trains, the first one of the cascade too."""
    model = ready_model(kind, segmentor=cascade())
    losses = losses_of(model, toy_batch())
    assert 'student0.stage0.loss_ce' in losses
    total_of(losses, model).backward()
    for head in model.students[0].decode_head:
        assert head.conv_seg.weight.grad.abs().sum() > 0


def test_heads_that_do_not_predict():
    auxiliary = [dict(toy_segmentor()['decode_head'])] * 2
    member = build_member(cascade(auxiliary_head=auxiliary))
    assert list(side_heads(member)) == ['stage0', 'aux0', 'aux1']
    assert list(side_heads(build_member(toy_segmentor()))) == []


REFUSED = {
    'sampled points': (
        cascade(
            decode_head=[
                toy_segmentor()['decode_head'],
                dict(
                    type='PointHead',
                    in_channels=[8],
                    in_index=[1],
                    channels=8,
                    num_classes=NUM_CLASSES,
                    num_fcs=1,
                    coarse_pred_each_layer=True,
                ),
            ]
        ),
        'PointHead does not train with a map of logits',
    ),
    'masks': (
        toy_segmentor(decode_head=dict(type='mmseg.Mask2FormerHead', num_classes=3)),
        'Mask2FormerHead predicts a set of masks',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_refused(name):
    segmentor, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        build_member(segmentor)
