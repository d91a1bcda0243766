# Copyright (c) mmseg_ctt contributors.
"""Every preset as it is with two classes, the fewest there are: background and one thing.

One needs three and says so.
"""

import pytest
from family import aspp_segmentor, step, trained_weights
from toy import toy_batch, toy_model, toy_settings, whole_segmentor

from mmseg_ctt.engine.method_preset import preset_names, read_preset
from mmseg_ctt.methods import registered_methods

NEED_THREE = ('dual_negative',)  # of two, the class that a pixel is not names the one that it is
PRESETS = {
    name: model
    for name in preset_names()
    for model in [read_preset(name).get('model', {})]
    if model.get('type') in registered_methods()
}


def of_two_classes(model: dict, **settings):
    """The model of a preset around the toy segmentor, and a batch for it."""
    kind = model['type']
    settings = {**{key: value for key, value in model.items() if key != 'type'}, **settings}
    given = toy_settings(kind).get('segmentor')
    plain = aspp_segmentor()  # GuidedMix-Net mixes at its bottleneck
    plain['decode_head']['num_classes'] = 2
    settings['segmentor'] = whole_segmentor(given, base=plain)
    made, batch = toy_model(kind, **settings), toy_batch()
    for sample in batch['data_samples']:
        if 'gt_sem_seg' in sample:
            sample.gt_sem_seg.data.clamp_(max=1)
    return made, batch


@pytest.mark.parametrize('name', [name for name in PRESETS if name not in NEED_THREE])
def test_a_step(name):
    made, batch = of_two_classes(PRESETS[name])
    assert made.num_classes == 2
    losses = step(made, batch)
    assert all(value.isfinite() for value in losses.values())
    assert any(weight.grad is not None for weight in trained_weights(made).values())


@pytest.mark.parametrize('name', NEED_THREE)
def test_methods_that_need_three_classes_say_so(name):
    with pytest.raises(ValueError, match='more than two classes.*take another method'):
        of_two_classes(PRESETS[name])


def test_ranks_of_two_classes_are_the_last_one():
    made, _ = of_two_classes(PRESETS['u2pl'])
    assert made.contrast.ranks == (1, 20)
    with pytest.raises(ValueError, match='model.contrast.ranks'):
        of_two_classes(PRESETS['u2pl'], contrast=dict(ranks=(3, 20)))
