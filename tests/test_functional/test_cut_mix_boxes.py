# Copyright (c) mmseg_ctt contributors.
"""Several boxes of CutMix, their options, UniMatch's box, and partners by index."""

import itertools
from itertools import chain

import numpy as np
import pytest
import torch
from no_sync import record
from reference import boxes as reference

from mmseg_ctt.functional import cut_mix_mask, mix, rejection_box_mask
from mmseg_ctt.functional.cut_mix_boxes import (
    BOX_NUMBERS,
    TRY_NUMBERS,
    first_fitting_box,
    random_boxes,
)

OPTIONS = ('random_aspect_ratio', 'by_area', 'within_bounds', 'invert', 'uniform_corner')


def numbers(batch, width, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(batch, width, generator=g, dtype=torch.float64)


@pytest.mark.parametrize('values', list(itertools.product([True, False], repeat=len(OPTIONS))))
@pytest.mark.parametrize('num_boxes', [1, 3])
def test_boxes_equal_loops(num_boxes, values):
    options, shape, area = dict(zip(OPTIONS, values)), (19, 14), (0.2, 0.6)
    noise = numbers(6, BOX_NUMBERS * num_boxes)
    got = cut_mix_mask(
        torch.zeros(6, *shape), area=area, noise=noise, num_boxes=num_boxes, **options
    )
    want = [
        reference.boxes(shape, row.reshape(num_boxes, BOX_NUMBERS), area, **options)
        for row in noise.numpy()
    ]
    assert np.array_equal(got.numpy(), want)


def test_overlaps_toggle():
    """Two equal boxes leave nothing, three leave one."""
    box = numbers(5, BOX_NUMBERS)
    label = torch.zeros(5, 32, 24)

    def of(number):
        return cut_mix_mask(label, noise=box.repeat(1, number), num_boxes=number)

    assert not of(2).any()
    thirds = cut_mix_mask(label, noise=box, area=(0.5 / 3, 0.5 / 3))
    assert of(3).any()
    ratios = [mask.flatten(1).double().mean(1) for mask in (of(3), thirds)]
    torch.testing.assert_close(*ratios, rtol=0, atol=0.05)


def test_boxes_of_cps():
    """Each of three boxes has a third of its area: about a quarter of the image in all."""
    g = torch.Generator().manual_seed(0)
    masks = cut_mix_mask(torch.zeros(400, 64, 64), g, (0.25, 0.5), num_boxes=3)
    ratio = masks.flatten(1).float().mean(1)
    assert ratio.mean().item() == pytest.approx(0.25, abs=0.03)
    assert ratio.min() < 0.15 and ratio.max() < 0.55
    g = torch.Generator().manual_seed(0)
    noise = torch.rand(400, 3 * BOX_NUMBERS, generator=g)
    again = cut_mix_mask(torch.zeros(400, 64, 64), area=(0.25, 0.5), noise=noise, num_boxes=3)
    assert torch.equal(masks, again)


def test_a_corner_is_uniform_by_default():
    """The released rule puts a box at a border half as often as anywhere else."""
    starts = []
    for uniform in (True, False):
        g = torch.Generator().manual_seed(1)
        masks = cut_mix_mask(
            torch.zeros(4000, 4, 4), g, (0.5, 0.5), by_area=False, uniform_corner=uniform
        )
        first = masks.any(2).int().argmax(1)
        starts.append(torch.bincount(first, minlength=3) / 4000)
    torch.testing.assert_close(starts[0], torch.full((3,), 1 / 3), rtol=0, atol=0.04)
    torch.testing.assert_close(starts[1], torch.tensor([0.25, 0.5, 0.25]), rtol=0, atol=0.04)


@pytest.mark.parametrize('number', [1, 3])
def test_boxes_are_the_same_on_the_host(number):
    """Numbers of numpy, before they go to a device, give what tensors give."""
    noise = numbers(200, BOX_NUMBERS * number).float()
    tries = numbers(200, 1 + TRY_NUMBERS * 8).float()
    size, area = (24, 15), (0.1, 0.6)
    pairs = [
        [random_boxes(given, size, area, number) for given in (noise, noise.numpy())],
        [first_fitting_box(given, size, area, (0.3, 3)) for given in (tries, tries.numpy())],
    ]
    for of_tensor, of_array in pairs:
        for got, want in zip(chain(*of_array), chain(*of_tensor)):
            assert isinstance(got, np.ndarray) and got.dtype == np.float32
            assert np.array_equal(got, want.numpy())


# ---- UniMatch's box


@pytest.mark.parametrize('shape', [(20, 20), (24, 15)])
@pytest.mark.parametrize('tries', [1, 2, 20])
@pytest.mark.parametrize('area', [(0.02, 0.4), (0.5, 0.9)])
def test_rejection_box_equals_loops(shape, tries, area):
    noise = numbers(40, 2 + TRY_NUMBERS * tries)
    ratio = (0.3, 1 / 0.3)
    got = rejection_box_mask(
        torch.zeros(40, *shape), area=area, prob=0.8, num_tries=tries, noise=noise
    )
    want = [reference.rejection_box(shape, row, area, ratio, 0.8) for row in noise.numpy()]
    assert np.array_equal(got.numpy(), want)
    assert {bool(mask.any()) for mask in want} == {True, False}


def test_rejection_box_by_a_generator():
    def of(seed, **settings):
        g = torch.Generator().manual_seed(seed)
        return rejection_box_mask(torch.zeros(500, 32, 32), g, **settings)

    assert torch.equal(of(0), of(0)) and not torch.equal(of(0), of(1))
    assert of(0).flatten(1).any(1).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert not of(0, prob=0.0).any()
    always = of(0, prob=1.0).flatten(1).float().mean(1)
    assert always.min() > 0 and always.max() <= 0.4


# ---- partners


@pytest.mark.parametrize('dtype', [torch.float32, torch.int64, torch.bool])
def test_partner_equals_loops(dtype):
    tensor = (numbers(4, 30).view(4, 5, 6) * 9).to(dtype)
    mask = numbers(4, 30, 1).view(4, 5, 6) < 0.5
    for partner in ([3, 2, 1, 0], [0, 0, 0, 0], [1, 2, 3, 0]):
        got = mix(tensor, mask, partner=torch.tensor(partner))
        assert np.array_equal(got.numpy(), reference.paste(tensor.numpy(), mask.numpy(), partner))
    assert torch.equal(got, mix(tensor, mask))  # the last one is the neighbour


def test_partner_of_images_and_of_several_maps():
    image, mask = numbers(3, 2 * 20).view(3, 2, 4, 5), numbers(3, 20, 1).view(3, 4, 5) < 0.5
    partner = torch.tensor([2, 1, 0])
    got = mix(image, mask, partner=partner)
    for c in range(2):
        assert torch.equal(got[:, c], mix(image[:, c], mask, partner=partner))
    maps = image.transpose(0, 1)
    assert torch.equal(mix(maps, mask, batch_dim=1, partner=partner), got.transpose(0, 1))


def test_nothing_waits_for_the_device():
    label, partner = torch.zeros(4, 9, 8), torch.tensor([3, 2, 1, 0])

    def step():
        boxes = cut_mix_mask(label, area=(0.25, 0.5), num_boxes=3, uniform_corner=False)
        outside = cut_mix_mask(label, within_bounds=False, by_area=False)
        mix(label, boxes ^ outside ^ rejection_box_mask(label), partner=partner)

    assert record(step) == []
