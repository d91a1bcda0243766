# Copyright (c) mmseg_ctt contributors.
"""The two decoders that papers call DeepLabV2."""

import pytest
import torch
from architectures import COMMON
from mmseg.registry import MODELS
from torch import nn


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
