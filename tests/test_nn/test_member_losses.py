# Copyright (c) mmseg_ctt contributors.
"""Building a member, and its supervised losses."""

import copy

import pytest
import torch
from architectures import BN, COMMON, build
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from toy import toy_segmentor

from mmseg_ctt.nn.member import build_member, forward_member, supervised_losses


def test_override_is_merged_and_the_config_left_alone():
    cfg = toy_segmentor()
    before = copy.deepcopy(cfg)
    member = build_member(cfg, dict(backbone=dict(width=6), decode_head=dict(in_channels=6)))
    assert member.backbone.stem.out_channels == 6
    assert build_member(cfg).backbone.stem.out_channels == 8
    assert cfg == before
    assert type(member.data_preprocessor).__name__ == 'BaseDataPreprocessor'  # mmengine's default


def test_sigmoid_output_is_an_error():
    cfg = toy_segmentor(num_classes=2)
    cfg['decode_head'].update(out_channels=1, threshold=0.5)
    with pytest.raises(ValueError, match='out_channels=1 .sigmoid.*out_channels=num_classes=2'):
        build_member(cfg)


def test_head_without_classifier_is_an_error_where_embeddings_are_read():
    @MODELS.register_module(name='HeadlessToy', force=True)
    class Headless(nn.Module):
        def __init__(self):
            super().__init__()
            self.decode_head = nn.Identity()

    with pytest.raises(ValueError, match='Identity has no `conv_seg` classifier'):
        build_member(dict(type='HeadlessToy'))
    assert build_member(dict(type='HeadlessToy'), embedding=False).decode_head is not None


# ---- supervised losses


def labelled(size, ignored=0.3):
    samples = []
    for _ in range(2):
        label = torch.randint(0, 5, (1, *size))
        label[torch.rand(1, *size) < ignored] = 255
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label)))
    return samples


@pytest.mark.parametrize('name', ['pspnet', 'segformer', 'deeplabv2_aspp', 'deeplabv2'])
def test_loss_equals_that_of_mmseg(name):
    aux = dict(
        type='FCNHead', in_channels=16, in_index=2, channels=4, num_convs=1, norm_cfg=BN, **COMMON
    )
    member = build(name, auxiliary_head=None if name == 'segformer' else [aux, dict(aux)])
    member.eval()
    samples = labelled((32, 48))
    output = forward_member(member, torch.randn(2, 3, 32, 48))
    plain = dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4)
    ours = dict(type='PixelCrossEntropyLoss', loss_weight=0.4)
    heads = {'decode': (member.decode_head, output.logits)}
    for i, head in enumerate(getattr(member, 'auxiliary_head', None) or []):
        heads[f'aux{i}'] = (head, head(output.features))
    want = {}
    for part, (head, logits) in heads.items():
        head.loss_decode = MODELS.build(plain)
        want[f'{part}.loss_ce'] = head.loss_by_feat(logits, samples)['loss_ce']
        head.loss_decode = MODELS.build(ours)
    got = supervised_losses(member, output, samples)
    assert len(want) == (1 if name == 'segformer' else 3)
    assert set(got) == set(want)
    for key, value in want.items():
        torch.testing.assert_close(got[key], value, rtol=1e-5, atol=0)
    with torch.no_grad():
        for head, _ in heads.values():
            head.loss_decode = MODELS.build(plain)
    for key, value in supervised_losses(member, output, samples).items():
        torch.testing.assert_close(value, want[key])  # mmseg's own loss, by the short way


def test_several_losses_and_a_single_auxiliary_head():
    cfg = dict(
        type='FCNHead', in_channels=16, in_index=2, channels=4, num_convs=1, norm_cfg=BN, **COMMON
    )
    member = build('pspnet', auxiliary_head=cfg).eval()
    member.decode_head.loss_decode = nn.ModuleList(
        [MODELS.build(dict(type='PixelCrossEntropyLoss', loss_weight=w)) for w in (1.0, 0.5)]
        + [MODELS.build(dict(type='PixelCrossEntropyLoss', loss_name='loss_other'))]
    )
    output = forward_member(member, torch.randn(2, 3, 32, 32))
    got = supervised_losses(member, output, labelled((32, 32)))
    assert set(got) == {'decode.loss_ce', 'decode.loss_other', 'aux0.loss_ce'}
    torch.testing.assert_close(got['decode.loss_ce'], 1.5 * got['decode.loss_other'])


def test_a_head_with_its_own_loss_keeps_it(monkeypatch):
    member = build('pspnet').eval()
    monkeypatch.setattr(
        type(member.decode_head),
        'loss_by_feat',
        lambda self, logits, samples: dict(loss_mine=logits.sum(), acc_seg=torch.tensor(1.0)),
    )
    output = forward_member(member, torch.randn(2, 3, 32, 32))
    got = supervised_losses(member, output, labelled((32, 32)))
    assert list(got) == ['decode.loss_mine'] and got['decode.loss_mine'] == output.logits.sum()


def test_pixel_loss_of_unlabelled_pixels_only_is_zero():
    loss = MODELS.build(dict(type='PixelCrossEntropyLoss'))
    logits = torch.randn(1, 5, 4, 4, requires_grad=True)
    value = loss(logits, torch.full((1, 4, 4), 255))
    value.backward()
    assert value == 0 and logits.grad.abs().sum() == 0


def test_pixel_loss_takes_no_sampler():
    member = build('pspnet')
    member.decode_head.loss_decode = MODELS.build(dict(type='PixelCrossEntropyLoss'))
    loss = member.decode_head.loss_decode
    with pytest.raises(ValueError, match='decode_head.sampler'):
        loss(torch.randn(1, 5, 4, 4), torch.zeros(1, 4, 4).long(), weight=torch.ones(1, 4, 4))
