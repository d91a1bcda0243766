# Copyright (c) mmseg_ctt contributors.
"""Heads for foundation models, and methods on a vision transformer with them."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from toy import NUM_CLASSES, losses_of, toy_batch, toy_model, toy_settings
from tuned import foundation_segmentor

from mmseg_ctt.nn.member import build_member, forward_member

timm = pytest.importorskip('timm', reason='timm is not installed')

HEADS = ('LightDPTHead', 'LinearHead')
METHODS = ('CrossTeacherTraining', 'MeanTeacher', 'FixMatchSeg', 'UniMatchV2')


def head(**settings):
    return MODELS.build(dict(num_classes=21, align_corners=True, type='LightDPTHead', **settings))


@pytest.mark.parametrize(
    'width, channels, hidden, millions',
    [(384, 64, (48, 96, 192, 384), 2.7), (768, 128, (96, 192, 384, 768), 10.9)],
)
def test_as_many_weights_as_published(width, channels, hidden, millions):
    """Of the decoder in the training logs of UniMatch V2 for VOC, ViT-S and ViT-B.

    Its first fusion block has a residual unit that is never called.
    """
    built = head(in_channels=[width] * 4, channels=channels, hidden_channels=hidden)
    unused = 2 * (9 * channels**2 + channels)
    number = sum(weight.numel() for weight in built.parameters()) + unused
    assert round(number / 1e6, 1) == millions


def test_dpt_by_hand():
    """The decoder, restated level by level, on a grid of odd sides."""
    torch.manual_seed(0)
    dpt = head(in_channels=[5] * 4, channels=6, hidden_channels=[2, 3, 4, 7])
    layers = [torch.randn(2, 5, 3, 5) for _ in range(4)]

    def conv(x, layer, **settings):
        return F.conv2d(x, layer.weight, layer.bias, **settings)

    def unit(x, block):
        return x + conv(F.relu(conv(F.relu(x), block.conv1, padding=1)), block.conv2, padding=1)

    maps = []
    for i, layer in enumerate(layers):
        x = conv(layer, dpt.resize[i][0])
        resize = dpt.resize[i][1]
        if i < 2:
            x = F.conv_transpose2d(x, resize.weight, resize.bias, stride=(4, 2)[i])
        elif i == 3:
            x = conv(x, resize, stride=2, padding=1)
        maps.append(conv(x, dpt.level[i], padding=1))
    assert [tuple(m.shape[2:]) for m in maps] == [(12, 20), (6, 10), (3, 5), (2, 3)]
    sizes = [(24, 40), (12, 20), (6, 10), (3, 5)]
    x = maps[3]
    for i in (3, 2, 1, 0):
        if i < 3:
            x = x + unit(maps[i], dpt.fuse[i].skip)
        x = unit(x, dpt.fuse[i].refine)
        x = F.interpolate(x, sizes[i], mode='bilinear', align_corners=True)
        x = conv(x, dpt.fuse[i].project)
    expected = conv(F.relu(conv(x, dpt.output, padding=1)), dpt.conv_seg)
    torch.testing.assert_close(dpt(layers), expected)


@pytest.mark.parametrize('settings', [dict(in_channels=[5] * 3), dict(in_index=[0, 1])])
def test_dpt_reads_four_layers(settings):
    with pytest.raises(ValueError, match=f'decode_head.{next(iter(settings))}.*four layers'):
        head(**{'in_channels': [5] * 4, **settings})


def test_linear_head_of_one_layer():
    linear = MODELS.build(
        dict(type='LinearHead', in_channels=6, num_classes=4, norm_cfg=dict(type='BN'))
    )
    x = torch.randn(3, 6, 4, 5)
    normal = (x - x.mean((0, 2, 3), keepdim=True)) / (
        x.var((0, 2, 3), keepdim=True, unbiased=False) + 1e-5
    ).sqrt()
    torch.testing.assert_close(linear([None, x]), linear.conv_seg(normal))


@pytest.mark.parametrize('name', HEADS)
def test_the_embedding_is_what_the_classifier_reads(name):
    member = build_member(foundation_segmentor(name)).eval()
    output = forward_member(member, torch.rand(1, 3, 32, 48))
    assert output.embedding.shape[1] == (8 if name == 'LightDPTHead' else 64)
    classifier = member.decode_head.conv_seg
    torch.testing.assert_close(classifier(output.embedding), output.logits)


@pytest.mark.parametrize('name', HEADS)
@pytest.mark.parametrize('kind', METHODS)
def test_methods_make_a_step(kind, name):
    model = toy_model(kind, **{**toy_settings(kind), 'segmentor': foundation_segmentor(name)})
    loss, log = model.parse_losses(losses_of(model, toy_batch(2, 2)))
    loss.backward()
    assert torch.isfinite(loss) and loss > 0
    for weight in model.students.parameters():
        assert weight.grad is not None
    assert all(weight.grad is None for weight in model.teachers.parameters())
    blocks = model.students[0].backbone.network.blocks
    assert all(block.attn.qkv.weight.grad.abs().sum() > 0 for block in blocks)


@pytest.mark.parametrize('size', [(37, 45), (32, 32), (5, 70)])
@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_images_of_any_size(mode, size):
    """They are padded to the patches, and the padding is cut off the logits."""
    segmentor = foundation_segmentor('LightDPTHead')
    segmentor['test_cfg'] = dict(mode=mode, crop_size=(32, 32), stride=(16, 16))
    model = toy_model('FixMatchSeg', segmentor=segmentor).eval()
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
    with torch.no_grad():
        (result,) = model.test_step(dict(inputs=[image], data_samples=[sample]))
        padded = model.data_preprocessor(dict(inputs=[image], data_samples=[sample]))['inputs']
        logits = model.students[0].encode_decode(padded, [dict(img_shape=padded.shape[2:])])
    assert result.seg_logits.data.shape == (NUM_CLASSES, *size)
    assert all(side % 8 == 0 for side in padded.shape[2:])
    if mode == 'whole':
        expected = logits[0, :, : size[0], : size[1]]
        torch.testing.assert_close(result.seg_logits.data, expected)
