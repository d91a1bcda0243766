# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from torch import nn

from mmseg_ctt.functional import mix
from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor
from mmseg_ctt.nn.strong_view import StrongView

MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]
DRAWS = [(3, 10), (3, 11), (3, 12), (3, 13)]
NOTHING = dict(mix=None, jitter_prob=0, blur_prob=0)


def preprocessor(rgb=True):
    return SemiSegDataPreProcessor(mean=MEAN, std=STD, bgr_to_rgb=rgb)


def images(seed=0, batch=4, size=(17, 24)):
    """Normalised images of smooth random colours."""
    g = torch.Generator().manual_seed(seed)
    plain = torch.rand(batch, 3, *size, generator=g) * 255
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))
    return (plain - mean) / std


def labels(batch=4, size=(17, 24), k=5):
    return torch.randint(0, k, (batch, *size), generator=torch.Generator().manual_seed(1))


def view(settings=None, image=None, label=None, draws=DRAWS, colour=None, **kwargs):
    strong = StrongView(**(settings or {}))
    return strong(
        images() if image is None else image,
        labels() if label is None else label,
        draws,
        colour or preprocessor(),
        num_classes=5,
        **kwargs,
    )


def test_same_draws_same_view_and_another_stream_differs():
    torch.manual_seed(0)
    first = view()
    torch.manual_seed(1)
    again, other = view(), view(stream=1)
    assert torch.equal(first.image, again.image) and torch.equal(first.mask, again.mask)
    assert not torch.equal(first.image, other.image)
    assert not torch.equal(first.mask, other.mask)
    assert not torch.equal(first.image, view(draws=[(4, n) for _, n in DRAWS]).image)


@pytest.mark.parametrize(
    'settings',
    [dict(mix=None), dict(mix=None, blur_prob=1), dict(mix=None, jitter_prob=1, blur_prob=0)],
)
def test_colours_belong_to_the_sample_not_to_its_place(settings):
    order = [2, 0, 3, 1]
    straight = view(settings).image
    moved = view(settings, image=images()[order], draws=[DRAWS[i] for i in order]).image
    torch.testing.assert_close(moved, straight[order])
    alone = view(settings, image=images()[1:2], label=labels()[1:2], draws=DRAWS[1:2]).image
    torch.testing.assert_close(alone, straight[1:2])


def test_images_of_a_batch_get_colours_of_their_own():
    same = images()[:1].expand(4, -1, -1, -1)
    got = view(dict(mix=None, jitter_prob=1, blur_prob=1), image=same).image
    assert all(not torch.allclose(got[i], got[j]) for i in range(4) for j in range(i))


def test_all_off_returns_the_input():
    image = images()
    got = view(NOTHING, image=image)
    assert torch.equal(got.image, image) and got.mask is None
    target = labels()
    assert got.follow(target) is target
    assert torch.equal(view(dict(NOTHING, jitter=0, jitter_prob=1), image=image).image, image)


def test_input_is_left_alone():
    image, label = images(), labels()
    kept = image.clone(), label.clone()
    view(dict(jitter_prob=1, blur_prob=1), image=image, label=label)
    assert torch.equal(image, kept[0]) and torch.equal(label, kept[1])


@pytest.mark.parametrize('how', ['class', 'cut'])
def test_mask_moves_images_and_targets_alike(how):
    image, label = images(), labels()
    got = view(dict(NOTHING, mix=how), image=image, label=label)
    assert got.mask.dtype == torch.bool and got.mask.shape == label.shape
    assert all(0 < one.sum() < one.numel() for one in got.mask)
    assert torch.equal(got.image, mix(image, got.mask))
    assert torch.equal(got.follow(label), mix(label, got.mask))
    coordinates = image[:, 0]
    assert torch.equal(got.follow(coordinates), got.image[:, 0])


def test_class_mix_is_cut_along_the_labels():
    label = labels()
    mask = view(dict(NOTHING), label=label).mask
    assert mask is None
    mask = view(dict(NOTHING, mix='class'), label=label).mask
    for one, chosen in zip(label, mask):
        assert len(one[chosen].unique()) == 2  # floor(5 / 2)
        assert not set(one[chosen].tolist()) & set(one[~chosen].tolist())


def test_labels_outside_the_classes_are_ignored_by_class_mix():
    label = labels()
    label[:, :3] = 255
    mask = view(dict(NOTHING, mix='class'), label=label).mask
    assert not mask[:, :3].any() and mask.any()


@pytest.mark.parametrize('kind', ['jitter', 'blur'])
def test_probabilities_are_shares_of_the_images(kind):
    settings = dict(NOTHING, blur_sigma=(0.5, 1.0), **{f'{kind}_prob': 0.3})
    image = images(batch=2, size=(4, 4)).repeat(200, 1, 1, 1)
    got = view(
        settings, image=image, label=labels(400, (4, 4)), draws=[(0, i) for i in range(400)]
    ).image
    changed = (got != image).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=0.11)  # five standard deviations
    settings[f'{kind}_prob'] = 1.0
    got = view(
        settings, image=image, label=labels(400, (4, 4)), draws=[(0, i) for i in range(400)]
    ).image
    assert (got != image).flatten(1).any(1).all()


@pytest.mark.parametrize('plain', [0.0, 127.5, 255.0])
def test_extreme_colours_stay_finite_and_in_range(plain):
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))
    image = (torch.full((4, 3, 9, 9), plain) - mean) / std
    got = view(
        dict(mix=None, jitter=0.5, jitter_prob=1, blur_prob=1), image=image, label=labels(4, (9, 9))
    ).image
    assert torch.isfinite(got).all()
    back = got * std + mean
    assert back.min() > -0.01 and back.max() < 255.01


def test_jitter_stays_in_range_and_moves_with_its_strength():
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))
    image = images()
    moved = []
    for jitter in (0.01, 0.25):
        got = view(dict(mix=None, jitter=jitter, jitter_prob=1, blur_prob=0), image=image).image
        plain = got * std + mean
        assert plain.min() > -0.01 and plain.max() < 255.01
        moved.append((got - image).abs().mean().item())
    assert 0 < 3 * moved[0] < moved[1]


def test_channel_order_does_not_matter():
    """BGR networks see the same colours as RGB ones."""

    class Colour(nn.Module):
        def __init__(self, rgb):
            super().__init__()
            order = slice(None) if rgb else slice(None, None, -1)
            self.mean = torch.tensor(MEAN[order]).view(-1, 1, 1)
            self.std = torch.tensor(STD[order]).view(-1, 1, 1)
            self.channel_conversion = rgb

    settings = dict(mix=None, jitter_prob=1)
    rgb = view(settings, colour=Colour(True)).image
    bgr = view(settings, image=images().flip(1), colour=Colour(False)).image
    torch.testing.assert_close(bgr.flip(1), rgb, rtol=1e-4, atol=1e-4)
    mistaken = view(settings, image=images().flip(1), colour=Colour(True)).image
    assert not torch.allclose(mistaken.flip(1), rgb, atol=1e-2)


def test_the_preprocessor_tells_the_channel_order():
    rgb = view(dict(mix=None, jitter_prob=1), colour=preprocessor(True)).image
    bgr = view(dict(mix=None, jitter_prob=1), colour=preprocessor(False)).image
    assert not torch.allclose(rgb, bgr, atol=1e-2)


def test_images_without_statistics_are_in_0_255():
    plain = torch.rand(4, 3, 8, 8) * 255
    got = view(
        dict(mix=None, jitter_prob=1, blur_prob=0),
        image=plain,
        label=labels(4, (8, 8)),
        colour=SemiSegDataPreProcessor(),
    ).image
    assert got.min() > -0.01 and 20 < got.max() < 255.01


def test_blur_smooths_and_keeps_constants():
    settings = dict(mix=None, jitter_prob=0, blur_prob=1, blur_sigma=(1.0, 1.0))
    image = images()
    got = view(settings, image=image).image
    rough = [(t[..., 1:] - t[..., :-1]).abs().mean() for t in (got, image)]
    assert rough[0] < 0.5 * rough[1]
    flat = torch.full((4, 3, 9, 9), 1.7)
    torch.testing.assert_close(view(settings, image=flat, label=labels(4, (9, 9))).image, flat)


def test_blur_follows_the_gaussian():
    """An impulse becomes the product of two sampled Gaussians."""
    impulse = torch.zeros(4, 3, 21, 21)
    impulse[:, :, 10, 10] = 1
    got = view(
        dict(mix=None, jitter_prob=0, blur_prob=1, blur_sigma=(1.1, 1.1)),
        image=impulse,
        label=labels(4, (21, 21)),
    ).image
    x = torch.arange(21.0) - 10
    line = torch.exp(-(x**2) / (2 * 1.1**2))
    want = (line / line.sum()).outer(line / line.sum())
    torch.testing.assert_close(got, want.expand_as(got), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(mix='paste'), "mix must be one of .*'paste'"),
        (dict(jitter_prob=1.2), r'jitter_prob must be in \[0, 1\], got 1.2'),
        (dict(blur_prob=-0.1), r'blur_prob must be in \[0, 1\], got -0.1'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=f'^model.strong_view.{message}'):
        StrongView(**settings)


@pytest.mark.parametrize('mix_prob,mixed', [(0.0, 0), (0.5, None), (1.0, 40)])
def test_share_of_mixed_images(mix_prob, mixed):
    view = StrongView(mix='cut', mix_prob=mix_prob, jitter_prob=0, blur_prob=0)
    image = torch.randn(40, 3, 8, 8)
    draws = [(3, i) for i in range(40)]
    got = view(image, torch.zeros(40, 8, 8).long(), draws, None)
    changed = int((got.image != image).flatten(1).any(1).sum())
    assert 8 < changed < 32 if mixed is None else changed == mixed
