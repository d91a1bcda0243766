# Copyright (c) mmseg_ctt contributors.
import copy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from toy import toy_segmentor

from mmseg_ctt.nn.member import (
    PixelOutput,
    build_member,
    constant_weights,
    forward_member,
    supervised_losses,
)

BN = dict(type='BN')
COMMON = dict(num_classes=5, align_corners=False, loss_decode=dict(type='CrossEntropyLoss'))


@MODELS.register_module()
class ToyPyramid(nn.Module):
    """Four feature maps of 8, 12, 16 and 32 channels at stride 2 to 16."""

    def __init__(self):
        super().__init__()
        widths = (3, 8, 12, 16, 32)
        self.stages = nn.ModuleList(
            [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(widths[:-1], widths[1:])]
        )

    def forward(self, x):
        maps = []
        for stage in self.stages:
            x = stage(x).relu()
            maps.append(x)
        return maps


PYRAMID = dict(type='ToyPyramid')
TRANSFORMER = dict(
    type='MixVisionTransformer',
    embed_dims=8,
    num_stages=4,
    num_layers=[1] * 4,
    num_heads=[1, 1, 2, 4],
    sr_ratios=[4, 2, 1, 1],
    mlp_ratio=2,
    drop_path_rate=0.1,
)
# name: backbone, head, width and stride of the embedding
ARCHITECTURES = {
    'deeplabv3plus': (
        PYRAMID,
        dict(
            type='DepthwiseSeparableASPPHead',
            in_channels=32,
            in_index=3,
            channels=10,
            dilations=(1, 2),
            c1_in_channels=8,
            c1_channels=6,
            dropout_ratio=0.1,
            norm_cfg=BN,
        ),
        10,
        2,
    ),
    'pspnet': (
        PYRAMID,
        dict(
            type='PSPHead',
            in_channels=32,
            in_index=3,
            channels=6,
            pool_scales=(1, 2),
            dropout_ratio=0.1,
            norm_cfg=BN,
        ),
        6,
        16,
    ),
    'upernet': (
        PYRAMID,
        dict(
            type='UPerHead',
            in_channels=[8, 12, 16, 32],
            in_index=[0, 1, 2, 3],
            channels=9,
            pool_scales=(1, 2),
            dropout_ratio=0.1,
            norm_cfg=BN,
        ),
        9,
        2,
    ),
    'segformer': (
        TRANSFORMER,
        dict(
            type='SegformerHead',
            in_channels=[8, 8, 16, 32],
            in_index=[0, 1, 2, 3],
            channels=7,
            dropout_ratio=0.1,
            norm_cfg=BN,
        ),
        7,
        4,
    ),
    'deeplabv2_aspp': (
        PYRAMID,
        dict(
            type='DeepLabV2ASPPHead',
            in_channels=32,
            in_index=3,
            channels=32,
            dilations=(1, 2),
            dropout_ratio=0.1,
        ),
        32,
        16,
    ),
    'deeplabv2': (
        PYRAMID,
        dict(
            type='DeepLabV2Head',
            in_channels=32,
            in_index=3,
            dilations=(1, 2),
            branches=2,
            embedding_dim=11,
        ),
        11,
        16,
    ),
}


def build(name, **changes):
    torch.manual_seed(0)
    backbone, head, *_ = ARCHITECTURES[name]
    return build_member(
        dict(type='EncoderDecoder', backbone=backbone, decode_head={**COMMON, **head}, **changes)
    )


def test_head_of_several_maps():
    member = build_member(
        dict(
            type='EncoderDecoder',
            backbone=PYRAMID,
            decode_head=dict(
                COMMON,
                type='DAHead',
                in_channels=32,
                in_index=3,
                channels=8,
                pam_channels=4,
                norm_cfg=BN,
            ),
        )
    )
    with pytest.raises(ValueError, match='DAHead gives a tuple, not one map of logits'):
        forward_member(member, torch.randn(2, 3, 32, 32))


@pytest.mark.parametrize('size', [(32, 32), (48, 64)])
@pytest.mark.parametrize('name', ARCHITECTURES)
def test_logits_and_embedding(name, size):
    *_, width, stride = ARCHITECTURES[name]
    member = build(name).eval()
    image = torch.randn(2, 3, *size)
    with torch.no_grad():
        output = forward_member(member, image)
        features = member.extract_feat(image)
        assert torch.equal(output.logits, member.decode_head(features))
    grid = (size[0] // stride, size[1] // stride)
    assert output.embedding.shape == (2, width, *grid)
    assert output.logits.shape == (2, 5, *grid)
    assert all(map(torch.equal, output.features, features))
    if name == 'deeplabv2':
        assert torch.equal(output.embedding, member.decode_head.projection(features[3]))
    else:
        assert torch.equal(member.decode_head.conv_seg(output.embedding), output.logits)


@pytest.mark.parametrize('name', ARCHITECTURES)
def test_both_outputs_give_gradient_and_nothing_stays_behind(name):
    member = build(name).train()
    known = {id(m): len(m._forward_pre_hooks) for m in member.modules()}
    output = forward_member(member, torch.randn(2, 3, 32, 32))
    for part in (output.embedding, output.logits):
        member.zero_grad()
        part.square().sum().backward(retain_graph=True)
        assert any(
            p.grad.abs().sum() > 0 for p in member.backbone.parameters() if p.grad is not None
        )
    assert {id(m): len(m._forward_pre_hooks) for m in member.modules()} == known
    copy.deepcopy(build(name))


def test_embedding_has_the_dropout_of_the_classifier():
    member = build('pspnet').train()
    member.decode_head.dropout.p = 0.5
    output = forward_member(member, torch.randn(2, 3, 64, 64))
    dropped = (output.embedding == 0).all(dim=3).all(dim=2)
    assert dropped.any() and not dropped.all()
    torch.testing.assert_close(member.decode_head.conv_seg(output.embedding), output.logits)


def test_hook_is_removed_when_the_head_fails(monkeypatch):
    member = build('pspnet').eval()
    monkeypatch.setattr(member.decode_head, 'bottleneck', None)
    with pytest.raises(TypeError):
        forward_member(member, torch.randn(1, 3, 32, 32))
    assert not member.decode_head.conv_seg._forward_pre_hooks


def test_a_head_that_classifies_twice_is_an_error(monkeypatch):
    member = build('pspnet').eval()
    inner = member.decode_head.cls_seg
    monkeypatch.setattr(member.decode_head, 'cls_seg', lambda x: inner(x) + inner(x))
    with pytest.raises(ValueError, match='PSPHead called its classifier 2 times'):
        forward_member(member, torch.randn(1, 3, 32, 32))


def test_rows_of_an_output():
    output = PixelOutput(
        torch.randn(4, 2, 3, 3),
        torch.randn(4, 5, 3, 3),
        [torch.randn(4, 1, 6, 6), torch.randn(4, 2, 3, 3)],
    )
    part = output.split([1, 2, 1])[1]
    assert torch.equal(part.logits, output.logits[1:3])
    assert torch.equal(part.embedding, output.embedding[1:3])
    assert [f.shape[0] for f in part.features] == [2, 2]
    assert torch.equal(part.features[0], output.features[0][1:3])


def test_parts_of_an_output_without_embedding():
    output = PixelOutput(torch.randn(3, 2, 4, 4), None, [])
    first, second = output.split([1, 2])
    assert torch.equal(second.logits, output.logits[1:]) and first.embedding is None


def test_pooled_output():
    output = PixelOutput(torch.randn(2, 2, 4, 5), torch.randn(2, 3, 4, 5), [])
    assert output.pooled(1) is output
    pooled = output.pooled(2)
    assert pooled.logits.shape == (2, 2, 2, 3) and pooled.embedding.shape == (2, 3, 2, 3)
    torch.testing.assert_close(pooled.logits[..., 0, 0], output.logits[..., :2, :2].mean((2, 3)))
    torch.testing.assert_close(pooled.embedding[..., 1, 2], output.embedding[..., 2:, 4].mean(2))


@pytest.mark.parametrize('embedding', [True, False])
def test_zero_loss_reaches_all_layers_in_float32(embedding):
    member = build('pspnet').train()
    with torch.autocast('cpu', torch.bfloat16):
        output = forward_member(member, torch.randn(2, 3, 32, 32), embedding)
        zero = output.zero_loss()
    zero.backward()
    assert zero == 0 and zero.dtype == torch.float32
    missing = {name for name, p in member.named_parameters() if p.grad is None}
    assert {name.split('.')[1] for name in missing} <= {'conv_seg'}
    assert bool(missing) == embedding  # the classifier is behind the embedding


@pytest.mark.parametrize('name', ['pspnet', 'upernet', 'deeplabv2_aspp'])
def test_no_embedding_where_it_is_not_needed(name, monkeypatch):
    member, image = build(name).eval(), torch.randn(2, 3, 32, 32)
    inner = member.decode_head.cls_seg
    with torch.no_grad():
        want = forward_member(member, image).logits
        monkeypatch.setattr(member.decode_head, 'cls_seg', lambda x: 0 * inner(x) + inner(x))
        output = forward_member(member, image, embedding=False)  # two calls of the classifier
    torch.testing.assert_close(output.logits, want)
    assert output.embedding is None


# ---- perturbed features, and what gets the gradient


@pytest.mark.parametrize('name', ['pspnet', 'upernet', 'deeplabv2'])
def test_the_head_reads_the_perturbed_features(name):
    member, image = build(name).eval(), torch.randn(2, 3, 32, 32)
    changed = []

    def perturb(features):
        changed.append([0.5 * map_ for map_ in features])
        return changed[0]

    with torch.no_grad():
        output = forward_member(member, image, perturb=perturb)
        halved = [0.5 * map_ for map_ in member.extract_feat(image)]
        assert torch.equal(output.logits, member.decode_head(halved))
        assert not torch.equal(output.logits, forward_member(member, image).logits)
    assert all(map(torch.equal, output.features, changed[0]))


def test_constant_weights_give_the_gradient_to_the_image_alone():
    member, image = build('pspnet').train(), torch.randn(2, 3, 32, 32, requires_grad=True)
    frozen = next(member.parameters()).requires_grad_(False)
    with constant_weights(member):
        logits = forward_member(member, image).logits
    logits.square().sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in member.parameters())
    # as before, after an error too
    with pytest.raises(RuntimeError), constant_weights(member):
        raise RuntimeError
    assert [p for p in member.parameters() if not p.requires_grad] == [frozen]


# ---- building


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


@pytest.mark.parametrize(
    'settings,message',
    [(dict(branches=0), 'branches=0 with 2'), (dict(branches=3), 'branches=3 with 2')],
)
def test_deeplabv2_branches_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(
            dict(**COMMON, type='DeepLabV2Head', in_channels=4, dilations=(1, 2), **settings)
        )


@pytest.mark.parametrize('branches', [1, 2, 4])
def test_deeplabv2_is_the_sum_of_its_classifiers(branches):
    head = MODELS.build(dict(**COMMON, type='DeepLabV2Head', in_channels=4, branches=branches))
    x = torch.randn(2, 4, 9, 9)
    assert len(head.conv_seg) == branches
    want = sum(
        nn.functional.conv2d(x, c.weight, c.bias, padding=d, dilation=d)
        for c, d in zip(head.conv_seg, (6, 12, 18, 24))
    )
    torch.testing.assert_close(head([x]), want)


def test_deeplabv2_without_embedding():
    head = MODELS.build(dict(**COMMON, type='DeepLabV2Head', in_channels=4, embedding_dim=None))
    assert head([torch.randn(1, 4, 3, 3)]).shape == (1, 5, 3, 3)
    feature = torch.randn(1, 4, 3, 3)
    logits, embedding = head.forward_with_embedding([feature])
    assert head.embedding_dim == 4 and torch.equal(embedding, feature)
    assert torch.equal(logits, head([feature]))


def test_aspp_head_is_that_of_the_release():
    head = MODELS.build(dict(**COMMON, type='DeepLabV2ASPPHead', in_channels=8))
    head.init_weights()
    assert head.conv_seg.bias is None and head.channels == 256
    assert head.conv_seg.weight.std().item() == pytest.approx(1e-3, rel=0.2)
    assert [b.conv.dilation[0] for b in head.branches] == [1, 6, 12, 18, 24]
    assert [b.conv.kernel_size[0] for b in head.branches] == [1, 3, 3, 3, 3]
    assert sum(isinstance(m, nn.GroupNorm) and m.num_groups == 32 for m in head.modules()) == 6
    assert head.attention.conv2.conv.in_channels == 1280 // 16


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
