# Copyright (c) mmseg_ctt contributors.
"""Against kornia, which counts hue in radians."""

import math

import pytest
import torch
from kornia import enhance, filters

from mmseg_ctt.functional import gaussian_blur, jitter_colours, shift_hue


def images(batch=4, size=(17, 24)):
    image = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0))
    image[0] = 0.5  # grey has no hue
    image[1, :, :4] = 0  # nor has black
    return image


def factors(low=0.5, high=1.5, batch=4):
    g = torch.Generator().manual_seed(1)
    return (low + (high - low) * torch.rand(4, batch, generator=g)).unbind(0)


def test_jitter():
    brightness, contrast, saturation, turns = factors()
    expected = enhance.adjust_brightness_accumulative(images(), brightness)
    expected = enhance.adjust_contrast_with_mean_subtraction(expected, contrast)
    expected = enhance.adjust_saturation_with_gray_subtraction(expected, saturation)
    expected = enhance.adjust_hue(expected, turns * 2 * math.pi)
    got = jitter_colours(
        images(), *(f.view(-1, 1, 1, 1) for f in (brightness, contrast, saturation, turns))
    )
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'turns, channels', [(0, [0, 1, 2]), (1 / 3, [2, 0, 1]), (-1 / 3, [1, 2, 0]), (1, [0, 1, 2])]
)
def test_a_third_of_a_turn_moves_the_channels_on(turns, channels):
    got = shift_hue(images(), torch.full((4, 1, 1, 1), turns))
    torch.testing.assert_close(got, images()[:, channels], atol=1e-5, rtol=0)


@pytest.mark.parametrize('side', [3, 9])
def test_blur(side):
    sigma = torch.tensor([[0.15], [0.7], [1.15], [3.0]])
    expected = filters.gaussian_blur2d(images(), (side, side), sigma.expand(-1, 2), 'replicate')
    torch.testing.assert_close(gaussian_blur(images(), sigma, side), expected)


def test_the_input_is_left_alone():
    image = images()
    jitter_colours(image, *(f.view(-1, 1, 1, 1) for f in factors()))
    gaussian_blur(image, torch.ones(4, 1), 3)
    assert torch.equal(image, images())
