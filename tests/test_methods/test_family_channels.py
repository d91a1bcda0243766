# Copyright (c) mmseg_ctt contributors.
"""Every method trains on images of any number of channels."""

import logging

import pytest
import torch
from family import EVERY_RECIPE, aspp_segmentor, assert_finite, ready, step
from toy import of_channels, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.nn.images import pictures_of

COLOURS = [
    dict(type='ColorJitter'),
    dict(type='RandomGreyscale'),
    dict(type='RandomIntensity'),
    dict(type='GaussianBlur'),
    dict(type='CutOut'),
]


@EVERY_RECIPE
@pytest.mark.parametrize('channels', [1, 4, 6])
def test_a_step(recipe, channels):
    own = 'segmentor' in recipe.settings
    segmentor = of_channels(aspp_segmentor() if own else toy_segmentor(), channels)
    model = ready(recipe, segmentor=segmentor)
    assert_finite(model, step(model, toy_batch(channels=channels)))
    for student in model.students:
        assert (student.backbone.stem.weight.grad.abs().sum((0, 2, 3)) > 0).all()


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmseg_ctt.methods.checks.print_log',
        lambda message, logger, level: said.append(message) if level == logging.WARNING else None,
    )
    return said


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_idle_colours_are_announced(warnings, channels):
    segmentor = of_channels(toy_segmentor(), channels)
    model = toy_model('FixMatchSeg', segmentor=segmentor, strong_augmentation=COLOURS)
    step(model, toy_batch(channels=channels))
    if channels == 3:
        assert not warnings
        return
    (line,) = warnings
    assert f'images have {channels} channel' in line
    for part in (
        'saturation and hue of ColorJitter',
        'the whole step of RandomGreyscale',
        'saturation and hue of RandomIntensity',
    ):
        assert part in line
    toy_model('FixMatchSeg', segmentor=segmentor, strong_augmentation=COLOURS[-2:])
    assert len(warnings) == 1


@pytest.mark.parametrize('channels', [1, 2, 3, 5])
def test_pictures(channels):
    model = toy_model(segmentor=of_channels(toy_segmentor(), channels))
    batch = toy_batch(channels=channels)
    inputs = torch.stack(batch['inputs'][:2])
    images = model.data_preprocessor(batch, True)['inputs']['labeled']
    for got, given in zip(pictures_of(images, model.data_preprocessor), inputs):
        want = given[[2, 1, 0]] if channels > 2 else given[:1].expand(3, -1, -1)
        torch.testing.assert_close(torch.from_numpy(got.copy()), want.permute(1, 2, 0))


def test_channels_that_do_not_fit():
    model = toy_model()
    with pytest.raises(
        ValueError, match=r'has 1 channels where 3 are expected: mean and std of model.*color_type'
    ):
        model.data_preprocessor(toy_batch(channels=1), True)
    with pytest.raises(ValueError, match='has 4 channels where 3'):
        model.data_preprocessor(toy_batch(channels=4), False)
