# Copyright (c) mmseg_ctt contributors.
"""Dual negative labels, written out."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from toy import losses_of, toy_batch, toy_model

from mmseg_ctt.functional import pixel_noise
from mmseg_ctt.methods.dual_negative.functional import negative_classes, negative_ramp
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.rng import sample_noise

KIND = 'DualNegativeLabel'
STILL = []  # the strong view is the weak one
JITTER = [dict(type='ColorJitter', brightness=0.5, contrast=0.5, prob=1)]


def ready(threshold=0.5, **settings):
    """Members that differ, with confidences on both sides of the threshold."""
    given = dict(consistency=dict(confidence_threshold=threshold), negative_ramp=0)
    model = toy_model(KIND, **{**given, **settings})
    torch.manual_seed(11)
    for member in (*model.students, *model.teachers):
        member.decode_head.conv_seg.weight.data.normal_(std=2)
    return model


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


def given_images(model, batch, width=32):
    data = model.data_preprocessor(batch, True)
    for known in data['data_samples']['unlabeled']:
        known.set_metainfo(dict(img_shape=(32, width)))
    return data, [
        Images(data['inputs'][name], data['data_samples'][name]) for name in data['inputs']
    ]


def peers(model, i, image):
    """Mean probability of those that teach student ``i``."""
    found = [
        up(model.forward_member(name, image, gradient=None)[0].logits).softmax(1)
        for name in model.graph[i]
    ]
    return sum(found) / len(found)


def negatives(model, i, probability, draws):
    """Negative classes by the random numbers of the samples."""
    keys = sample_noise(draws, model.num_negatives, f'negatives/{i}')
    noise = pixel_noise(keys.flatten(), 32, 32).view(*keys.shape, 32, 32)
    return negative_classes(probability, model.num_negatives, model.selection, model.exclude, noise)


def expected(model, labeled, unlabeled, threshold, valid):
    """All terms, pixel by pixel where the formula is one of pixels."""
    probability = [peers(model, i, unlabeled.image) for i in range(len(model.students))]
    first = probability[0].argmax(1).masked_fill(~valid, 255)
    view = model.strong_view(unlabeled, first)
    valid, terms = view.apply_mix(valid), {}
    strong = [peers(model, i, view.image) for i in range(len(model.students))]
    for i, weak in enumerate(probability):
        on_labeled, on_strong = model.forward_member(f'student{i}', labeled.image, view.image)
        logits = up(on_strong.logits)
        negative = view.apply_mix(negatives(model, i, weak, unlabeled.draws))
        confidence, label = (view.apply_mix(map_) for map_ in weak.max(1))
        positive = confidence >= threshold
        if model.two_views:  # agreement, and confidence on one of both views
            other = strong[i].max(1)
            positive = (label == other.indices) & (positive | (other.values >= threshold))
        rest = ~positive & valid
        positive = positive & valid
        ce = F.cross_entropy(logits, label, reduction='none')
        complement = -(1 - logits.softmax(1) + 1e-6).log()
        mean = (complement * negative).sum(1) / negative.sum(1)
        terms[f'student{i}.decode.loss_ce'] = F.cross_entropy(up(on_labeled.logits), labeled.labels)
        terms[f'student{i}.loss_pos'] = (ce * positive).sum() / positive.numel()
        terms[f'student{i}.loss_neg'] = (mean * rest).sum() / rest.sum()
        terms[f'student{i}.confident_ratio'] = positive.float().mean()
    return terms


@pytest.mark.parametrize(
    'settings',
    [
        dict(),
        dict(joint_forward=False, strong_augmentation=STILL),
        dict(supervision='mutual'),
        dict(supervision='dual', strong_augmentation=[dict(type='CutMixing')]),
        dict(supervision='self', num_pairs=1),
        dict(supervision='ensemble'),
        dict(num_pairs=3),
        dict(selection='replacement'),
        dict(selection='rank'),
        dict(num_negatives=1),
        dict(num_negatives=3),
        dict(num_negatives=1, exclude=3),
        dict(two_views=True, strong_augmentation=JITTER),
        dict(two_views=True),
    ],
    ids=str,
)
@pytest.mark.parametrize('width', [32, 20])
def test_a_step_by_hand(settings, width):
    # the mean of three peers is seldom as confident as one of them
    settings = dict(dict(threshold=0.4 if settings.get('num_pairs') == 3 else 0.5), **settings)
    settings['loss_weights'] = dict(sup=3, pos=0.5, neg=4)
    model, twin = ready(**settings), ready(**settings)
    data, images = given_images(model, toy_batch(2, 3), width)
    losses = model(**data, mode='loss')
    valid = torch.arange(32).expand(3, 32, 32) < width
    want = expected(twin, *images, settings['threshold'], valid)
    factors = {'loss_ce': 3, 'loss_pos': 0.5, 'loss_neg': 4, 'confident_ratio': 1}
    assert set(losses) == set(want)
    for key, value in want.items():
        assert value > 0
        got = losses[key] / factors[key.rpartition('.')[2]]
        torch.testing.assert_close(got, value, rtol=5e-4, atol=1e-6)
        assert 'ratio' not in key or value < width / 32


def test_negative_classes_are_never_the_label():
    for selection, numbers in (('distinct', {2}), ('replacement', {1, 2}), ('rank', {2})):
        model = ready(selection=selection)
        _, (_, unlabeled) = given_images(model, toy_batch())
        probability = peers(model, 0, unlabeled.image)
        negative = negatives(model, 0, probability, unlabeled.draws)
        assert set(negative.sum(1).unique().tolist()) == numbers
        assert not negative.gather(1, probability.argmax(1, keepdim=True)).any()
        if selection == 'rank':
            lowest = probability <= probability.sort(dim=1).values[:, 1:2]
            assert torch.equal(negative, lowest)


def test_students_and_iterations_draw_their_own():
    model = ready(supervision='dual')
    _, (_, unlabeled) = given_images(model, toy_batch())
    probability, draws = peers(model, 0, unlabeled.image), unlabeled.draws
    first = negatives(model, 0, probability, draws)
    assert not torch.equal(first, negatives(model, 1, probability, draws))
    assert not torch.equal(first, negatives(model, 0, probability, [(7, 8), (7, 9)]))
    assert torch.equal(first.flip(0), negatives(model, 0, probability.flip(0), draws[::-1]))


# ---- schedules


def test_schedules_and_ramp():
    together = ready(negative_ramp=0.5)
    turns = ready(negative_ramp=0.5, schedule='turns')
    plain, hub = ready(), MessageHub.get_current_instance()
    hub.update_info('max_iters', 8)
    for step in range(6):
        hub.update_info('iter', step)
        both, single, full = (losses_of(model, toy_batch()) for model in (together, turns, plain))
        for i in (0, 1):
            key = f'student{i}.loss_neg'
            torch.testing.assert_close(both[key], negative_ramp(step / 8, 0.5) * full[key])
            assert single[key] == (both[key] if step % 2 == i else 0)
            assert single[key].requires_grad
            assert single[f'student{i}.loss_pos'] == both[f'student{i}.loss_pos']


def test_defaults_are_the_released_numbers():
    model = toy_model(KIND)
    assert model.consistency.confidence_threshold == 0.8
    assert (model.num_negatives, model.exclude, model.negative_ramp) == (2, 1, 0.15)
    assert model.weights == dict(sup=1, pos=1, neg=2) and model.schedule == 'together'
    losses = losses_of(model, toy_batch())
    full = losses_of(toy_model(KIND, negative_ramp=0), toy_batch())
    key = 'student0.loss_neg'
    torch.testing.assert_close(losses[key], negative_ramp(0) * full[key])


@pytest.mark.parametrize(
    'settings,word',
    [
        (dict(schedule='alternate'), 'model.schedule.*turns'),
        (dict(selection='lowest'), 'selection.*rank'),
        (dict(num_negatives=4), 'num_negatives=4.*exclude=1.*4'),
        (dict(negative_ramp=1.5), r'model.negative_ramp must be in \[0, 1\], got 1.5'),
        (
            dict(two_views=True, consistency=dict(class_thresholds=dict())),
            'model.two_views=True has one threshold for all classes: remove',
        ),
    ],
)
def test_bad_settings(settings, word):
    with pytest.raises(ValueError, match=word) as caught:
        toy_model(KIND, **settings)
    assert '\n' not in str(caught.value)
