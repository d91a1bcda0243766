# Copyright (c) mmseg_ctt contributors.
"""Pixel-adaptive refinement of class maps."""

import numpy as np
import pytest
import torch
from reference.pamr import pamr as reference

from mmseg_ctt.functional import pamr


@pytest.fixture
def image():
    return torch.rand(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def maps():
    return torch.rand(2, 4, 7, 9, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('dilations, iterations', [((1,), 1), ((1, 2, 5), 2), ((9,), 1)])
def test_equals_the_reference(image, maps, dilations, iterations):
    got = pamr(image.double(), maps.double(), dilations, iterations)
    for index in range(2):
        want = reference(
            image[index].double().numpy(), maps[index].double().numpy(), dilations, iterations
        )
        np.testing.assert_allclose(got[index], want, rtol=1e-9)


def test_keeps_the_sum_over_classes(image, maps):
    refined = pamr(image, maps.softmax(1))
    torch.testing.assert_close(refined.sum(1), torch.ones(2, 7, 9))


def test_moves_an_edge_to_that_of_the_image():
    """A soft map that is too wide by two columns takes the edge of the image."""
    image = torch.zeros(1, 3, 8, 12)
    image[..., 6:] = 1
    maps = torch.zeros(1, 1, 8, 12)
    maps[..., 4:] = 1
    refined = pamr(image, maps, (1, 2), 30)[0, 0]
    assert refined[:, 7:].min() > 0.99
    assert refined[:, 5].max() < 0.7 < 1 == maps[0, 0, :, 5].min()


def test_resizes_the_maps_to_the_image(image, maps):
    assert pamr(image, maps[..., :3, :4], (1,), 0).shape == maps.shape
    assert torch.equal(pamr(image, maps, (1,), 0), maps)


def test_leaves_no_graph_and_no_changed_input(image, maps):
    before = maps.clone()
    assert not pamr(image.requires_grad_(), maps.requires_grad_()).requires_grad
    assert torch.equal(maps, before)


def test_an_image_of_a_single_colour_is_finite():
    refined = pamr(torch.full((1, 3, 5, 5), 0.3), torch.ones(1, 2, 5, 5))
    torch.testing.assert_close(refined, torch.ones(1, 2, 5, 5))


@pytest.mark.parametrize('settings', [dict(dilations=()), dict(dilations=(0, 1))])
def test_wrong_dilations(image, maps, settings):
    with pytest.raises(ValueError, match='dilations must be positive'):
        pamr(image, maps, **settings)


def test_wrong_iterations(image, maps):
    with pytest.raises(ValueError, match='iterations must not be negative'):
        pamr(image, maps, iterations=-1)
