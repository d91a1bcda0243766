# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmseg.registry import MODELS
from toy import NUM_CLASSES, toy_segmentor
from toy_run import shake

from mmseg_ctt.deploy.checkpoint import build_network, load_weights
from mmseg_ctt.deploy.export.export import stock_model
from mmseg_ctt.deploy.export.members import segmentor_config


def deeplabv2(**changes):
    head = dict(
        type='DeepLabV2Head',
        in_channels=8,
        in_index=1,
        num_classes=NUM_CLASSES,
        align_corners=True,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
        **changes,
    )
    return toy_segmentor(decode_head=head)


@pytest.mark.parametrize(
    'changes', [{}, dict(branches=2), dict(dilations=(2, 4), embedding_dim=None)]
)
def test_sum_of_classifiers_is_an_aspp_head(changes):
    model = shake(MODELS.build(deeplabv2(**changes))).eval()
    cfg, state = stock_model(segmentor_config(deeplabv2(**changes), None), model.state_dict())
    assert cfg['decode_head']['type'] == 'ASPPHead'
    load_weights(build_network(cfg), state, 'toy')
    plain = MODELS.build(cfg).eval()
    plain.load_state_dict(state)
    image = torch.randn(2, 3, 40, 56)
    with torch.no_grad():
        expected, got = model(image), plain(image)
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'head',
    [dict(type='DeepLabV2ASPPHead', channels=32), dict(type='DeepLabV2Head', dilations=(1, 6))],
)
def test_heads_without_a_counterpart(head):
    segmentor = deeplabv2()
    segmentor['decode_head'].update(head)
    model = MODELS.build(segmentor)
    with pytest.raises(ValueError, match=f"model.decode_head.type='{head['type']}' exists only"):
        stock_model(segmentor_config(segmentor, None), model.state_dict())


@pytest.mark.parametrize('kind, reason', [('AuxSegHead', 'affinity'), ('ClassMapHead', 'maps')])
def test_a_head_that_says_what_to_do_in_the_place_of_an_export(kind, reason):
    segmentor = deeplabv2()
    segmentor['decode_head'] = dict(
        type=kind, in_channels=8, in_index=1, channels=8, num_classes=NUM_CLASSES
    )
    model = MODELS.build(segmentor)
    words = f'{kind}.* exists only in mmseg_ctt: .*{reason}.*ordinary network.*mmseg_ctt.apis'
    with pytest.raises(ValueError, match=words):
        stock_model(segmentor_config(segmentor, None), model.state_dict())
