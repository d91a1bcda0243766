# Copyright (c) mmseg_ctt contributors.
"""The list of steps of the strong augmentation."""

import logging

import pytest
import torch
from augmented import (
    ALL,
    BLUR,
    CLASS,
    CUT,
    CUT_OUT,
    DRAWS,
    GREY,
    INTENSITY,
    JITTER,
    K,
    images,
    labels,
    masks,
    preprocessor,
    view,
)
from no_sync import record
from versions import COUNTED

from mmseg_ctt.functional import cut_mix_mask, mix
from mmseg_ctt.nn.augmentation import AUGMENTATION_STEPS, AugmentationStep, StrongAugmentation, View
from mmseg_ctt.nn.rng import sample_noise


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


@pytest.mark.parametrize(
    'steps',
    [
        [JITTER, GREY, BLUR, CUT],
        [dict(JITTER, prob=0.5), CUT_OUT, INTENSITY],
        [CLASS, JITTER],
        [CUT],
    ],
)
@pytest.mark.parametrize('strength', [None, torch.tensor([0.0, 0.3, 0.6, 1.0])])
def test_several_views_are_those_of_their_names(steps, strength):
    names = ['strong0', 'strong1', 'other']
    given = images(), labels(), DRAWS, preprocessor(), K
    views = StrongAugmentation(steps).several(*given, names, strength)
    for name, got in zip(names, views):
        want = view(steps, rng_stream=name, strength=strength)
        torch.testing.assert_close(got.image, want.image)
        assert all(map(torch.equal, masks(got), masks(want)))
    assert not torch.equal(views[0].image, views[1].image)


def test_several_views_of_halves():
    steps = [JITTER, dict(CUT, partner='second_half'), BLUR]
    given = images(), labels(), DRAWS, preprocessor(), K
    views = StrongAugmentation(steps).several(*given, ['strong0', 'strong1'])
    for i, got in enumerate(views):
        assert got.image.shape == (2, 3, 17, 24)
        torch.testing.assert_close(got.image, view(steps, rng_stream=f'strong{i}').image)


def test_images_that_are_not_chosen_stay_bit_for_bit():
    for step in (JITTER, GREY, BLUR, CUT_OUT):
        noise = sample_noise(DRAWS, 1, f'strong0/0/{step["type"]}')[:, 0]
        chosen = noise < noise.mean()
        got = view([dict(step, prob=noise.mean().item())]).image
        assert torch.equal(got[~chosen], images()[~chosen]) and 0 < chosen.sum() < 4
        assert (got[chosen] != images()[chosen]).flatten(1).any(1).all()


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


@COUNTED
@pytest.mark.parametrize('steps', [ALL, [CLASS], [dict(CUT, boxes=3, prob=0.5)]])
def test_no_host_synchronisation(steps):
    augmentation, colour = StrongAugmentation(steps), preprocessor()
    given = images(), labels()
    assert record(lambda: augmentation(*given, DRAWS, colour, K)) == []


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


def test_a_first_look_up_warns_of_nothing(monkeypatch):
    """mmengine warns that the package is not installed where a registry has no location."""
    levels = []
    monkeypatch.setattr(
        'mmengine.logging.print_log', lambda *_, level=logging.INFO, **__: levels.append(level)
    )
    monkeypatch.setattr(AUGMENTATION_STEPS, '_imported', False)
    assert AUGMENTATION_STEPS.get('ClassMixing') is not None
    assert levels and max(levels) < logging.WARNING
