# Copyright (c) mmseg_ctt contributors.
"""Outputs of a member, its perturbed features and its gradients."""

import copy

import pytest
import torch
from architectures import ARCHITECTURES, build
from toy import toy_segmentor

from mmseg_ctt.nn.member import PixelOutput, build_member, constant_weights, forward_member


def test_head_of_several_unknown_maps(monkeypatch):
    member = build('pspnet')
    forward = member.decode_head.forward
    monkeypatch.setattr(member.decode_head, 'forward', lambda x: (forward(x), forward(x)))
    with pytest.raises(ValueError, match='PSPHead gives a tuple, not one map of logits'):
        forward_member(member, torch.randn(2, 3, 32, 32), embedding=False)


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


def test_a_setting_of_an_inherited_network_is_named():
    """A decode head of another kind is merged into the one that the config inherits."""
    cfg = toy_segmentor()
    cfg['decode_head']['dilations'] = (1, 6)
    with pytest.raises(
        TypeError, match="segmentor.decode_head: FCNHead takes no 'dilations': .*_delete_"
    ):
        build_member(cfg)


def test_mobilenet_for_photos_names_the_one_for_bands():
    cfg = toy_segmentor()
    cfg['backbone'] = dict(type='MobileNetV2', in_channels=5)
    with pytest.raises(TypeError, match="takes no 'in_channels' .BandMobileNetV2 does"):
        build_member(cfg)
