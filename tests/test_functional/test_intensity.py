# Copyright (c) mmseg_ctt contributors.
import colorsys
import math

import numpy as np
import pytest
import torch
from no_sync import record
from PIL import Image, ImageOps
from versions import COUNTED

from mmseg_ctt.functional.intensity import INTENSITIES

NAMES = sorted(INTENSITIES)
WITHOUT_STRENGTH = {'autocontrast', 'equalize', 'identity', 'invert'}


def images(number=3, side=7):
    return torch.rand(number, 3, side, side, generator=torch.Generator().manual_seed(0))


def strengths(*values):
    return torch.tensor(values).view(-1, 1, 1, 1)


@COUNTED
@pytest.mark.parametrize('name', NAMES)
def test_results_are_new_tensors_in_range_and_images_do_not_meet(name):
    image, strength = images(), strengths(0.0, 0.4, 1.0)
    kept = image.clone()
    got = INTENSITIES[name](image, strength)
    assert torch.equal(image, kept) and got.shape == image.shape
    assert got.min() >= 0 and got.max() <= 1
    for i in range(3):
        alone = INTENSITIES[name](image[i : i + 1], strength[i : i + 1])
        torch.testing.assert_close(alone, got[i : i + 1])
    assert record(lambda: INTENSITIES[name](image, strength)) == []


@pytest.mark.parametrize('name', sorted(set(NAMES) - WITHOUT_STRENGTH))
def test_a_larger_strength_changes_more(name):
    image = images(1)
    moved = [
        (INTENSITIES[name](image, strengths(value)) - image).abs().mean().item()
        for value in (0.0, 0.5, 1.0)
    ]
    assert moved == sorted(moved) and moved[0] < moved[2] / 5


@pytest.mark.parametrize('strength', [0.0, 0.3, 1.0])
def test_values_by_hand(strength):
    """Of one pixel of the middle, from those around it."""
    image, factor = images(1), 0.95 - 0.9 * strength
    pixel = image[0, :, 3, 3].double().tolist()
    grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    mean = float((image[0] * weights).sum(0).mean())
    around = image[0, :, 2:5, 2:5].sum((1, 2)).tolist()
    blurred = [(total + 4 * value) / 13 for total, value in zip(around, pixel)]
    h, s, v = colorsys.rgb_to_hsv(*pixel)
    step = 256 / 2 ** (8 - math.ceil(4 * strength))
    want = dict(
        brightness=[value * factor for value in pixel],
        contrast=[mean + factor * (value - mean) for value in pixel],
        saturation=[grey + factor * (value - grey) for value in pixel],
        sharpness=[low + factor * (value - low) for value, low in zip(pixel, blurred)],
        hue=colorsys.hsv_to_rgb((h + strength / 2) % 1, s, v),
        posterize=[int(255 * value / step) * step / 255 for value in pixel],
        solarize=[1 - value if value >= 1 - strength else value for value in pixel],
        identity=pixel,
        invert=[1 - value for value in pixel],
    )
    for name, values in want.items():
        got = INTENSITIES[name](image, strengths(strength))[0, :, 3, 3].tolist()
        assert got == pytest.approx([min(max(value, 0), 1) for value in values], abs=1e-5), name
    assert set(NAMES) == {*want, 'autocontrast', 'blur', 'equalize'}


def test_autocontrast_stretches_each_channel_and_leaves_constants():
    image = 0.3 + 0.2 * images()
    image[0, 1] = 0.4
    got = INTENSITIES['autocontrast'](image, strengths(0, 0, 0))
    low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    want = (image - low) / (high - low)
    torch.testing.assert_close(got[1:], want[1:])
    assert (got[0, 1] == image[0, 1]).all()


def test_hue_turns_both_ways():
    image = images(1)
    there = INTENSITIES['hue'](image, strengths(0.3))
    assert not torch.allclose(there, INTENSITIES['hue'](image, strengths(-0.3)), atol=1e-3)
    torch.testing.assert_close(INTENSITIES['hue'](there, strengths(-0.3)), image)


@pytest.mark.parametrize('side', [8, 40])
def test_equalize_is_that_of_pillow(side):
    """Images of few pixels stay as they are, and channels of one value."""
    rng = np.random.default_rng(side)
    pixels = (rng.normal(100, 40, (2, side, side, 3)).clip(0, 255)).astype(np.uint8)
    pixels[1, ..., 2] = 17
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    got = (INTENSITIES['equalize'](image, strengths(0, 1)) * 255).round().byte()
    for plain, result in zip(pixels, got.permute(0, 2, 3, 1).numpy()):
        want = np.asarray(ImageOps.equalize(Image.fromarray(plain)))
        assert (result == want).all() and ((want != plain).any() == (side == 40))
