# Copyright (c) mmseg_ctt contributors.
"""Networks of timm become mmseg's TIMMBackbone, a linear head its FCNHead."""

import pytest
import torch
from mmseg.models.backbones import TIMMBackbone
from mmseg.models.decode_heads import FCNHead, UPerHead
from mmseg.registry import MODELS
from toy_run import shake
from tuned import LORA, foundation_segmentor

from mmseg_ctt.deploy.checkpoint import build_network, load_weights
from mmseg_ctt.deploy.export.export import stock_model
from mmseg_ctt.deploy.export.members import segmentor_config

pytest.importorskip('timm', reason='timm is not installed')


def upernet(**backbone):
    segmentor = foundation_segmentor('LinearHead', **backbone)
    segmentor['neck'] = dict(
        type='MultiLevelNeck', in_channels=[16] * 4, out_channels=8, scales=[4, 2, 1, 0.5]
    )
    segmentor['decode_head'].update(
        type='UPerHead', in_channels=[8] * 4, channels=8, pool_scales=(1, 2)
    )
    return segmentor


def linear(number, **backbone):
    segmentor = foundation_segmentor('LinearHead', number, **backbone)
    if number == 1:
        segmentor['decode_head'].update(in_channels=16, in_index=0)
    return segmentor


@pytest.mark.parametrize(
    'make, kind',
    [
        (lambda **changes: linear(1, **changes), FCNHead),
        (lambda **changes: linear(3, **changes), FCNHead),
        (upernet, UPerHead),
    ],
)
@pytest.mark.parametrize('changes', [{}, dict(gradient_checkpointing=True), dict(lora=LORA)])
def test_stock_mmseg_computes_the_same(make, kind, changes):
    segmentor = make(final_norm=False, **changes)
    model = shake(MODELS.build(segmentor)).eval()
    cfg, state = stock_model(segmentor_config(segmentor, None), model.state_dict())
    plain = load_weights(build_network(cfg), state, 'toy').eval()
    assert type(plain.backbone) is TIMMBackbone and type(plain.decode_head) is kind
    image = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        expected, got = model(image), plain(image)
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert plain.data_preprocessor.test_cfg == dict(size_divisor=8)


@pytest.mark.parametrize(
    'segmentor, words',
    [
        (linear(1), 'final_norm=True: .*final_norm=False.*mmseg_ctt.apis'),
        (foundation_segmentor('LightDPTHead', final_norm=False), 'LightDPTHead.*UPerHead.*apis'),
        (linear(1, final_norm=False), 'LN.*batch normalisation alone'),
    ],
)
def test_what_stock_mmseg_lacks(segmentor, words):
    model = MODELS.build(segmentor)
    if 'LN' in words:
        segmentor['decode_head']['norm_cfg'] = dict(type='LN')
    with pytest.raises(ValueError, match=words):
        stock_model(segmentor_config(segmentor, None), model.state_dict())
