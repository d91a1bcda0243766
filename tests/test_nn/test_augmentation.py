# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from no_sync import record
from torch import nn

from mmseg_ctt.functional import class_mix_mask, cut_mix_mask, mix
from mmseg_ctt.functional.colour import grey
from mmseg_ctt.functional.intensity import INTENSITIES
from mmseg_ctt.functional.mixing import BOX_NUMBERS
from mmseg_ctt.nn.augmentation import (
    AUGMENTATION_STEPS,
    AugmentationStep,
    StrongAugmentation,
    View,
    denormalize,
    normalize,
)
from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor
from mmseg_ctt.nn.rng import sample_noise

MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]
DRAWS = [(3, 10), (3, 11), (3, 12), (3, 13)]
K = 5
CLASS, CUT = dict(type='ClassMixing'), dict(type='CutMixing')
JITTER = dict(type='ColorJitter', prob=1)
GREY = dict(type='RandomGreyscale', prob=1)
BLUR = dict(type='GaussianBlur', prob=1)
CUT_OUT = dict(type='CutOut', prob=1)
INTENSITY = dict(type='RandomIntensity')
ALL = [CLASS, CUT, JITTER, GREY, BLUR, CUT_OUT, INTENSITY]


def preprocessor(rgb=True):
    return SemiSegDataPreProcessor(mean=MEAN, std=STD, bgr_to_rgb=rgb)


def statistics():
    return (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))


def images(seed=0, batch=4, size=(17, 24)):
    """Normalised images of smooth random colours."""
    g = torch.Generator().manual_seed(seed)
    plain = torch.rand(batch, 3, *size, generator=g) * 255
    mean, std = statistics()
    return (plain - mean) / std


def labels(batch=4, size=(17, 24), k=K):
    return torch.randint(0, k, (batch, *size), generator=torch.Generator().manual_seed(1))


def view(steps, image=None, label=None, draws=DRAWS, colour=None, **kwargs):
    return StrongAugmentation(steps)(
        images() if image is None else image,
        labels() if label is None else label,
        draws,
        colour or preprocessor(),
        K,
        **kwargs,
    )


def masks(view):
    return [mixing.mask for mixing in view.mixes]


# ---- the list of steps


def test_same_draws_same_view_and_another_stream_differs():
    torch.manual_seed(0)
    first = view(ALL)
    torch.manual_seed(1)
    again, other = view(ALL), view(ALL, rng_stream='strong1')
    assert torch.equal(first.image, again.image)
    assert all(map(torch.equal, masks(first), masks(again)))
    assert not torch.equal(first.image, other.image)
    assert not torch.equal(masks(first)[0], masks(other)[0])
    assert not torch.equal(first.image, view(ALL, draws=[(4, n) for _, n in DRAWS]).image)


def test_steps_come_in_their_order():
    """The next one sees what the last one has left, images and labels."""
    jitter = view([JITTER])
    both = view([JITTER, CUT])
    assert torch.equal(both.image, mix(jitter.image, masks(both)[0]))
    assert not torch.equal(view([CUT, JITTER]).image, both.image)


@pytest.mark.parametrize('step', ALL, ids=[step['type'] for step in ALL])
def test_a_step_more_leaves_the_numbers_of_those_before(step):
    alone, followed = view([CLASS, JITTER]), view([CLASS, JITTER, step])
    assert torch.equal(masks(alone)[0], masks(followed)[0])
    if step is CUT:
        assert torch.equal(followed.image, mix(alone.image, masks(followed)[1]))
    assert not torch.equal(followed.image, alone.image)


def test_a_step_in_front_changes_the_numbers_of_those_behind():
    assert not torch.equal(masks(view([CUT]))[0], masks(view([JITTER, CUT]))[0])


def test_the_stream_has_the_name_of_view_place_and_step():
    mask = masks(view([JITTER, CUT], rng_stream='strong7'))[0]
    noise = sample_noise(DRAWS, 5, 'strong7/1/CutMixing')[:, 1:]
    assert torch.equal(mask, cut_mix_mask(labels(), area=(0.5, 0.5), noise=noise))


@pytest.mark.parametrize(
    'steps', [[JITTER], [GREY], [BLUR], [CUT_OUT], [INTENSITY], [JITTER, BLUR]]
)
def test_colours_belong_to_the_sample_not_to_its_place(steps):
    steps = [{**step, 'prob': 0.6} for step in steps]
    order = [2, 0, 3, 1]
    straight = view(steps).image
    moved = view(steps, image=images()[order], draws=[DRAWS[i] for i in order]).image
    torch.testing.assert_close(moved, straight[order])
    alone = view(steps, image=images()[1:2], label=labels()[1:2], draws=DRAWS[1:2]).image
    torch.testing.assert_close(alone, straight[1:2])


def test_images_of_a_batch_get_colours_of_their_own():
    same = images()[:1].expand(4, -1, -1, -1)
    got = view([JITTER, BLUR], image=same).image
    assert all(not torch.allclose(got[i], got[j]) for i in range(4) for j in range(i))


def test_no_step_returns_the_input():
    image, target = images(), labels()
    for steps in ([], [{**step, 'prob': 0} for step in ALL]):
        got = view(steps, image=image)
        assert got.image is image and got.mixes == ()
        assert got.apply_mix(target) is target
        augmentation = StrongAugmentation(steps)
        assert not augmentation.active and not augmentation.mixes and not augmentation.steps


@pytest.mark.parametrize('steps,mixes', [([CLASS], True), ([JITTER, CUT], True), ([JITTER], False)])
def test_what_the_list_says_of_itself(steps, mixes):
    augmentation = StrongAugmentation(steps)
    assert augmentation.active and augmentation.mixes == mixes


@pytest.mark.parametrize(
    'steps,want', [([], False), ([CLASS], True), ([JITTER, CUT], False), ([CUT, BLUR, CLASS], True)]
)
def test_labels_are_read_by_class_mix_alone(steps, want):
    assert StrongAugmentation(steps).reads_label is want
    other = labels().flip(0, 1)
    assert torch.equal(view(steps).image, view(steps, label=other).image) != want


def test_labels_are_mixed_for_steps_that_read_them(monkeypatch):
    mixed, apply_mix = [], View.apply_mix

    def recorded(self, maps, *args):
        mixed.append(len(self.mixes))
        return apply_mix(self, maps, *args)

    monkeypatch.setattr(View, 'apply_mix', recorded)
    view([CLASS, JITTER, BLUR, CUT_OUT, INTENSITY, GREY])
    assert mixed == [0]
    mixed.clear()
    view([CUT, JITTER, CLASS])
    assert mixed == [1]


def test_input_is_left_alone():
    image, label = images(), labels()
    kept = image.clone(), label.clone()
    view(ALL, image=image, label=label)
    assert torch.equal(image, kept[0]) and torch.equal(label, kept[1])


def test_a_registered_step_of_somebody_else():
    @AUGMENTATION_STEPS.register_module(name='ToyInversion', force=True)
    class Inversion(AugmentationStep):
        def __init__(self, factor: float) -> None:
            super().__init__(1.0)
            self.factor = factor

        def noise_width(self, num_classes):
            return num_classes

        def forward(self, view, noise, context):
            assert noise.shape == (4, context.num_classes)
            return view._replace(image=-self.factor * view.image)

    got = view([dict(type='ToyInversion', factor=2)])
    assert torch.equal(got.image, -2 * images())
    with pytest.raises(ValueError, match="ToyInversion lacks the settings .'factor'"):
        StrongAugmentation([dict(type='ToyInversion')])


@pytest.mark.parametrize('steps', [[CLASS], [CUT, CLASS]])
def test_one_image_cannot_only_be_mixed(steps):
    one = dict(image=images()[:1], label=labels()[:1], draws=DRAWS[:1])
    with pytest.raises(ValueError, match='only mixes.*there is one.*train_dataloader.batch_size'):
        view(steps, **one)
    assert torch.isfinite(view([*steps, JITTER], **one).image).all()


@pytest.mark.parametrize('steps', [ALL, [CLASS], [dict(CUT, boxes=3, prob=0.5)]])
def test_no_host_synchronisation(steps):
    augmentation, colour = StrongAugmentation(steps), preprocessor()
    given = images(), labels()
    assert record(lambda: augmentation(*given, DRAWS, colour, K)) == []


# ---- mixing


@pytest.mark.parametrize('step', [CLASS, CUT, dict(CUT, boxes=3)])
def test_mask_moves_images_and_targets_alike(step):
    image, label = images(), labels()
    got = view([step], image=image, label=label)
    (mask,) = masks(got)
    assert mask.dtype == torch.bool and mask.shape == label.shape
    assert all(0 < kept.sum() < kept.numel() for kept in mask)
    assert torch.equal(got.image, mix(image, mask))
    assert torch.equal(got.apply_mix(label), mix(label, mask))
    assert torch.equal(got.apply_mix(image[:, 0]), got.image[:, 0])
    several = torch.stack([label, label.flip(1)])
    want = torch.stack([got.apply_mix(map_) for map_ in several])
    assert torch.equal(got.apply_mix(several, batch_dim=1), want)


def test_two_mixings_are_applied_one_after_the_other():
    image = images()
    got = view([CUT, CLASS], image=image)
    first, second = masks(got)
    assert torch.equal(got.image, mix(mix(image, first), second))
    assert torch.equal(got.apply_mix(image), got.image)
    # ClassMix cuts along the labels as CutMix has left them
    mixed = mix(labels(), first)
    keys = sample_noise(DRAWS, 1 + K, 'strong0/1/ClassMixing')[:, 1:]
    assert torch.equal(second, class_mix_mask(mixed, keys=keys, num_classes=K))


def test_class_mix_is_cut_along_the_labels():
    label = labels()
    (mask,) = masks(view([CLASS], label=label))
    for map_, kept in zip(label, mask):
        assert len(map_[kept].unique()) == 2  # floor(5 / 2)
        assert not set(map_[kept].tolist()) & set(map_[~kept].tolist())


def test_labels_outside_the_classes_are_ignored_by_class_mix():
    label = labels()
    label[:, :3] = 255
    (mask,) = masks(view([CLASS], label=label))
    assert not mask[:, :3].any() and mask.any()


def bounds(mask):
    """Height and width of the smallest rectangle around the kept pixels."""
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


def many(step, number=200, size=(40, 40)):
    image = images(batch=1, size=size).expand(number, -1, -1, -1)
    label = torch.zeros(number, *size, dtype=torch.long)
    return view([step], image=image, label=label, draws=[(0, i) for i in range(number)])


@pytest.mark.parametrize('area', [(0.5, 0.5), (0.25, 0.5), (0.02, 0.4)])
def test_a_box_is_a_rectangle_of_what_the_area_leaves(area):
    (boxes,) = masks(many(dict(CUT, area=(1 - area[1], 1 - area[0]))))
    ratios = boxes.float().mean((1, 2))
    for mask, ratio in zip(boxes, ratios.tolist()):
        height, width = bounds(mask)
        assert mask.sum() == height * width
        assert area[0] - 0.06 <= ratio <= area[1] + 0.06  # sides are whole pixels
    assert area[0] == area[1] or ratios.std() > 0.05


def test_boxes_have_a_part_of_the_area_each_and_an_overlap_shows_the_neighbour():
    step = dict(CUT, area=(0.25, 0.5), boxes=3)
    (mask,) = masks(view([step]))
    noise = sample_noise(DRAWS, 1 + 3 * BOX_NUMBERS, 'strong0/0/CutMixing')[:, 1:]
    assert torch.equal(mask, cut_mix_mask(labels(), area=(0.5, 0.75), noise=noise, num_boxes=3))
    assert 0 < mask.float().mean() < 0.8


@pytest.mark.parametrize('aspect', [None, (0.8, 1.25)])
@pytest.mark.parametrize('area', [0.2, 0.7])
def test_area_is_what_is_pasted(area, aspect):
    (kept,) = masks(many(dict(CUT, area=(area, area), aspect=aspect)))
    assert (~kept).float().mean().item() == pytest.approx(area, abs=0.04)  # whole pixels


def test_box_of_an_aspect_is_pasted():
    """UniMatch's box: what is inside comes from the partner."""
    step = dict(CUT, area=(0.1, 0.3), aspect=(0.5, 2.0))
    (mask,) = masks(view([step]))
    pasted = (~mask).float().mean((1, 2))
    assert ((pasted > 0.05) & (pasted < 0.35)).all()
    for box in ~mask:  # a rectangle
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box, rows.unsqueeze(1) & columns)


@pytest.mark.parametrize('step', [CLASS, CUT], ids=['class', 'cut'])
def test_partner_of_the_flipped_batch(step):
    """Image ``i`` gets parts of image ``B - 1 - i``, and labels of several teachers likewise."""
    image, label = images(), labels()
    straight, got = view([step]), view([dict(step, partner='flipped')])
    (mixing,) = got.mixes
    assert mixing.flipped and torch.equal(mixing.mask, masks(straight)[0])
    mask = mixing.mask
    want = torch.where(mask.unsqueeze(1), image, image.flip(0))
    assert torch.equal(got.image, want) and not torch.equal(got.image, straight.image)
    assert torch.equal(got.apply_mix(image), want)
    assert torch.equal(got.apply_mix(label), torch.where(mask, label, label.flip(0)))
    several = torch.stack([label, label.flip(1)])
    want = torch.stack([got.apply_mix(map_) for map_ in several])
    assert torch.equal(got.apply_mix(several, batch_dim=1), want)


@pytest.mark.parametrize('step', [CLASS, CUT], ids=['class', 'cut'])
@pytest.mark.parametrize('prob', [0.3, 1.0])
def test_ratio_of_mixed_images(step, prob):
    label = labels(batch=1, size=(8, 8)).expand(400, -1, -1)
    image = torch.randn(400, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    got = view(
        [dict(step, prob=prob)], image=image, label=label, draws=[(3, i) for i in range(400)]
    )
    changed = (got.image != image).flatten(1).any(1)
    assert torch.equal(changed, ~masks(got)[0].flatten(1).all(1))
    assert changed.float().mean().item() == pytest.approx(prob, abs=0 if prob == 1 else 0.11)


# ---- colours


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
    assert torch.equal(none[[1, 3]], full[[1, 3]]) and not torch.equal(none[2], full[2])


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


@pytest.mark.parametrize('names', [('solarize',), ('posterize', 'hue', 'brightness')])
def test_operations_of_each_image_by_hand(names):
    image, number = images(), 2
    draws = [(3, i) for i in range(40)]
    image = image.repeat(10, 1, 1, 1)
    got = view(
        [dict(INTENSITY, number=number, operations=names)],
        image=image,
        label=labels(40),
        draws=draws,
    ).image
    noise = sample_noise(draws, 2 + 2 * number, 'strong0/0/RandomIntensity')
    counts = []
    for plain, result, row in zip(denormalize(image, preprocessor()), got, noise.tolist()):
        count, want = int(row[1] * (number + 1)), plain.unsqueeze(0)
        counts.append(count)
        for choice, strength in list(zip(row[2 : 2 + number], row[2 + number :]))[:count]:
            operation = INTENSITIES[names[int(choice * len(names))]]
            want = operation(want, torch.full((1, 1, 1, 1), strength))
        torch.testing.assert_close(denormalize(result, preprocessor()), want[0])
    assert set(counts) == {0, 1, 2}


def test_strength_scales_the_operations():
    solarize = [dict(INTENSITY, number=3, operations=['solarize'])]
    none = view(solarize, strength=torch.zeros(4)).image
    torch.testing.assert_close(none, images(), atol=1e-4, rtol=0)
    assert not torch.allclose(view(solarize).image, images(), atol=1e-2)


# ---- settings


@pytest.mark.parametrize(
    'steps,message',
    [
        ([dict(CUT, prob=1.2)], r'CutMixing.prob must be in \[0, 1\], got 1.2'),
        ([dict(BLUR, prob=-0.1)], r'GaussianBlur.prob must be in \[0, 1\], got -0.1'),
        ([dict(CUT, boxes=0)], 'CutMixing.boxes must be at least 1, got 0'),
        ([dict(CUT, boxes=3, aspect=(1, 2))], 'CutMixing.boxes must be 1 with an aspect, got 3'),
        ([dict(CUT, aspect=(0, 0))], r'CutMixing.aspect=\(0, 0\) is no range above 0'),
        ([dict(BLUR, sigma=(0, 1))], r'GaussianBlur.sigma=\(0, 1\) is no range above 0'),
        ([dict(CUT_OUT, area=(2, 3))], r'CutOut.area=\(2, 3\) is no range in \[0, 1\]'),
        ([dict(JITTER, hue=3)], r'ColorJitter.hue must be in \[0, 0.5\], got 3'),
        ([dict(JITTER, contrast=-1)], r'ColorJitter.contrast must be in \[0, 1\], got -1'),
        ([dict(CUT, area=(0.6, 0.5))], r'CutMixing.area=\(0.6, 0.5\) is no range in \[0, 1\]'),
        ([dict(CUT, area=(0.5, 1.5))], r'CutMixing.area=\(0.5, 1.5\) is no range'),
        ([dict(CUT, partner='last')], r"CutMixing.partner must be one of .*'flipped'.*'last'"),
        ([dict(CUT_OUT, prob=2)], r'CutOut.prob must be in \[0, 1\], got 2'),
        ([dict(INTENSITY, number=0)], 'RandomIntensity.number must be at least 1, got 0'),
        ([dict(INTENSITY, operations=['shear'])], r"unknown operations \['shear'\]; known .*'hue'"),
        ([dict(type='Paste')], r"unknown type 'Paste'; known are \[.*'ClassMixing'"),
        ([dict(JITTER, strength=1)], r"ColorJitter has unknown settings \['strength'\]"),
    ],
)
def test_bad_settings(steps, message):
    with pytest.raises(ValueError, match=f'^model.strong_augmentation.*{message}') as error:
        StrongAugmentation(steps)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'step,message',
    [
        (dict(CUT, area=0.5), 'CutMixing.area must be two numbers, such as .*, got 0.5'),
        (dict(CUT, aspect=1), 'CutMixing.aspect must be two numbers, such as .*, got 1'),
        (dict(CUT, boxes=1.5), 'CutMixing.boxes must be an integer, got 1.5'),
        (dict(CUT, prob='1'), "CutMixing.prob must be a number, got '1'"),
        (dict(CUT_OUT, area=0.5), 'CutOut.area must be two numbers, such as .*, got 0.5'),
        (dict(BLUR, sigma=2), 'GaussianBlur.sigma must be two numbers, such as .*, got 2'),
        (dict(JITTER, brightness=None), 'ColorJitter.brightness must be a number, got None'),
        (dict(INTENSITY, number='3'), "RandomIntensity.number must be an integer, got '3'"),
    ],
)
def test_settings_of_a_wrong_type(step, message):
    with pytest.raises(TypeError, match=f'^model.strong_augmentation: {message}$'):
        StrongAugmentation([step])


@pytest.mark.parametrize('steps', [['ClassMixing'], [dict(prob=1)], [None]])
def test_steps_that_are_no_dicts(steps):
    with pytest.raises(TypeError, match='model.strong_augmentation must be a list of dicts'):
        StrongAugmentation(steps)


def test_a_view_may_have_no_mask():
    image = images()
    assert View(image).apply_mix(image) is image
