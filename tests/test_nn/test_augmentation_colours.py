# Copyright (c) mmseg_ctt contributors.
"""Steps that change the values of pixels."""

import pytest
import torch
from augmented import (
    BLUR,
    CUT_OUT,
    DRAWS,
    GREY,
    INTENSITY,
    JITTER,
    MEAN,
    STD,
    images,
    labels,
    preprocessor,
    statistics,
    view,
)
from torch import nn

from mmseg_ctt.functional import cut_mix_mask
from mmseg_ctt.functional.colour import grey
from mmseg_ctt.functional.intensity import INTENSITIES
from mmseg_ctt.nn.augmentation import denormalize, normalize
from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor
from mmseg_ctt.nn.rng import sample_noise


@pytest.mark.parametrize(
    'step', [JITTER, GREY, dict(BLUR, sigma=(0.5, 1.0)), dict(CUT_OUT, area=(0.3, 0.4))]
)
def test_probabilities_are_ratios_of_the_images(step):
    image = images(batch=2, size=(4, 4)).repeat(200, 1, 1, 1)
    given = dict(image=image, label=labels(400, (4, 4)), draws=[(0, i) for i in range(400)])
    got = view([dict(step, prob=0.3)], **given).image
    changed = (got != image).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=0.11)  # five standard deviations
    assert (view([step], **given).image != image).flatten(1).any(1).all()


@pytest.mark.parametrize('plain', [0.0, 127.5, 255.0])
def test_extreme_colours_stay_finite_and_in_range(plain):
    mean, std = statistics()
    image = (torch.full((4, 3, 9, 9), plain) - mean) / std
    jitter = dict(JITTER, brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5)
    steps = [jitter, INTENSITY, GREY, BLUR]
    got = view(steps, image=image, label=labels(4, (9, 9))).image
    assert torch.isfinite(got).all()
    back = got * std + mean
    assert back.min() > -0.01 and back.max() < 255.01


def jitter_of(**ranges):
    """Only the named changes."""
    nothing = dict(brightness=0, contrast=0, saturation=0, hue=0)
    return {**JITTER, **nothing, **ranges}


def test_jitter_moves_with_its_ranges():
    image, moved = images(), []
    for width in (0.01, 0.25):
        jitter = jitter_of(brightness=width, contrast=width, saturation=width, hue=width)
        got = view([jitter], image=image).image
        mean, std = statistics()
        assert (got * std + mean).min() > -0.01 and (got * std + mean).max() < 255.01
        moved.append((got - image).abs().mean().item())
    assert 0 < 3 * moved[0] < moved[1]
    torch.testing.assert_close(view([jitter_of()], image=image).image, image, atol=1e-5, rtol=0)


def test_brightness_by_hand():
    """A factor between 1 - range and 1 + range, clamped to [0, 255]."""
    image, (mean, std) = images(), statistics()
    noise = sample_noise(DRAWS, 5, 'strong0/0/ColorJitter')
    factor = 1 + (2 * noise[:, 1] - 1) * 0.4
    want = ((image * std + mean) * factor.view(-1, 1, 1, 1)).clamp(0, 255)
    got = view([jitter_of(brightness=0.4)], image=image).image * std + mean
    torch.testing.assert_close(got, want, atol=1e-3, rtol=0)


def test_greyscale_has_one_channel_three_times():
    got = denormalize(view([GREY]).image, preprocessor())
    want = grey(denormalize(images(), preprocessor())).expand_as(got)
    torch.testing.assert_close(got, want)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    plain = denormalize(images(), preprocessor())
    torch.testing.assert_close(got[:, 0], (plain * weights).sum(1), atol=1e-4, rtol=0)


@pytest.mark.parametrize('statistics', [{}, dict(mean=[127.5], std=[60.0])])
@pytest.mark.parametrize('prob', [0.5, 1])
def test_greyscale_where_channels_have_no_statistics_of_their_own(statistics, prob):
    colour, plain = SemiSegDataPreProcessor(**statistics), torch.rand(4, 3, 8, 8) * 255
    image = (plain - 127.5) / 60 if statistics else plain
    for steps in ([dict(GREY, prob=prob)], [dict(GREY, prob=prob), JITTER]):
        got = view(steps, image=image, label=labels(4, (8, 8)), colour=colour).image
        assert got.shape == image.shape
    grey_ones = view([GREY], image=image, label=labels(4, (8, 8)), colour=colour).image
    assert torch.equal(grey_ones[:, 0], grey_ones[:, 2])
    assert not torch.allclose(grey_ones[:, 0], image[:, 0])


def test_strength_scales_the_colours_of_each_image():
    image, strength = images(), torch.tensor([0.0, 0.5, 1.0, 0.0])
    full, scaled = view([JITTER]).image, view([JITTER], strength=strength).image
    torch.testing.assert_close(scaled[[0, 3]], image[[0, 3]], atol=1e-5, rtol=0)
    assert torch.equal(scaled[2], full[2])
    half = view([jitter_of(brightness=0.2)]).image[1]
    got = view([jitter_of(brightness=0.4)], strength=strength).image[1]
    torch.testing.assert_close(got, half)  # half of the range


def test_strength_scales_the_width_of_the_blur():
    given = dict(strength=torch.tensor([0.0, 1.0, 0.5, 1.0]))
    none = view([dict(BLUR, sigma=(1e-3, 2.0))], **given).image
    torch.testing.assert_close(none[0], images()[0])
    full = view([dict(BLUR, sigma=(1e-3, 2.0))]).image
    torch.testing.assert_close(none[[1, 3]], full[[1, 3]])
    assert not torch.allclose(none[2], full[2])


def test_channel_order_does_not_matter():
    """BGR networks see the same colours as RGB ones."""

    class Colour(nn.Module):
        def __init__(self, rgb):
            super().__init__()
            order = slice(None) if rgb else slice(None, None, -1)
            self.mean = torch.tensor(MEAN[order]).view(-1, 1, 1)
            self.std = torch.tensor(STD[order]).view(-1, 1, 1)
            self.channel_conversion = rgb

    for steps in ([JITTER], [GREY]):
        rgb = view(steps, colour=Colour(True)).image
        bgr = view(steps, image=images().flip(1), colour=Colour(False)).image
        torch.testing.assert_close(bgr.flip(1), rgb, rtol=1e-4, atol=1e-4)
        mistaken = view(steps, image=images().flip(1), colour=Colour(True)).image
        assert not torch.allclose(mistaken.flip(1), rgb, atol=1e-2)


def test_the_preprocessor_tells_the_channel_order():
    rgb = view([JITTER], colour=preprocessor(True)).image
    bgr = view([JITTER], colour=preprocessor(False)).image
    assert not torch.allclose(rgb, bgr, atol=1e-2)


def test_images_without_statistics_are_in_0_255():
    plain = torch.rand(4, 3, 8, 8) * 255
    got = view([JITTER], image=plain, label=labels(4, (8, 8)), colour=SemiSegDataPreProcessor())
    assert got.image.min() > -0.01 and 20 < got.image.max() < 255.01


def test_normalisation_and_back():
    plain = denormalize(images(), preprocessor())
    assert plain.min() >= 0 and plain.max() <= 1
    torch.testing.assert_close(normalize(plain.clone(), preprocessor()), images())


def test_blur_smooths_and_keeps_constants():
    blur, image = dict(BLUR, sigma=(1.0, 1.0)), images()
    got = view([blur], image=image).image
    rough = [(t[..., 1:] - t[..., :-1]).abs().mean() for t in (got, image)]
    assert rough[0] < 0.5 * rough[1]
    flat = torch.full((4, 3, 9, 9), 1.7)
    torch.testing.assert_close(view([blur], image=flat, label=labels(4, (9, 9))).image, flat)


def test_blur_is_the_gaussian():
    """An impulse becomes the product of two sampled Gaussians."""
    impulse = torch.zeros(4, 3, 21, 21)
    impulse[:, :, 10, 10] = 1
    got = view([dict(BLUR, sigma=(1.1, 1.1))], image=impulse, label=labels(4, (21, 21))).image
    x = torch.arange(21.0) - 10
    line = torch.exp(-(x**2) / (2 * 1.1**2))
    want = (line / line.sum()).outer(line / line.sum())
    torch.testing.assert_close(got, want.expand_as(got), rtol=0, atol=1e-3)


def test_cut_out_is_the_mean_colour_and_moves_no_label():
    image, label = images(), labels()
    got = view([dict(CUT_OUT, area=(0.3, 0.5))], image=image, label=label)
    assert got.mixes == () and got.apply_mix(label) is label
    noise = sample_noise(DRAWS, 5, 'strong0/0/CutOut')[:, 1:]
    box = cut_mix_mask(label, area=(0.3, 0.5), noise=noise).unsqueeze(1)
    assert torch.equal(got.image, image.masked_fill(box, 0)) and box.any()


# ---- random intensities


@pytest.mark.parametrize('random_number', [True, False])
@pytest.mark.parametrize('names', [('solarize',), ('posterize', 'hue', 'identity', 'brightness')])
def test_operations_of_each_image_by_hand(names, random_number):
    image, number = images(), 2
    draws = [(3, i) for i in range(40)]
    image = image.repeat(10, 1, 1, 1)
    step = dict(INTENSITY, number=number, operations=names, random_number=random_number)
    got = view([step], image=image, label=labels(40), draws=draws).image
    noise = sample_noise(draws, 2 + 3 * number, 'strong0/0/RandomIntensity')
    counts = []
    for plain, result, row in zip(denormalize(image, preprocessor()), got, noise.tolist()):
        count, want = 1 + int(row[1] * number) if random_number else number, plain.unsqueeze(0)
        counts.append(count)
        turns = zip(*(row[2 + i * number :][:number] for i in range(3)))
        for choice, strength, sign in list(turns)[:count]:
            name = names[int(choice * len(names))]
            strength = -strength if name == 'hue' and sign < 0.5 else strength
            want = INTENSITIES[name](want, torch.full((1, 1, 1, 1), strength))
        torch.testing.assert_close(denormalize(result, preprocessor()), want[0])
    assert set(counts) == ({1, 2} if random_number else {2})


def test_images_that_are_not_chosen_stay_bit_by_bit():
    draws = [(3, i) for i in range(40)]
    image = images().repeat(10, 1, 1, 1)
    got = view([dict(INTENSITY, prob=0.5)], image=image, label=labels(40), draws=draws).image
    chosen = sample_noise(draws, 11, 'strong0/0/RandomIntensity')[:, 0] < 0.5
    assert torch.equal(got[~chosen], image[~chosen]) and 10 < chosen.sum() < 30
    assert (got[chosen] != image[chosen]).flatten(1).any(1).all()


def test_strength_scales_the_operations():
    solarize = [dict(INTENSITY, number=3, operations=['solarize'])]
    none = view(solarize, strength=torch.zeros(4)).image
    torch.testing.assert_close(none, images(), atol=1e-4, rtol=0)
    assert not torch.allclose(view(solarize).image, images(), atol=1e-2)
