# Copyright (c) mmseg_ctt contributors.
"""PS-MT: two teachers in turns, adversarial features, negative learning."""

import math

import pytest
import torch
from mmengine.logging import MessageHub
from toy import at_iteration, losses_of, prepared, ready_model, toy_batch, toy_model, upsamplings

from mmseg_ctt.functional import improbable_class_loss, pixel_consistency
from mmseg_ctt.methods.followers import IN_SHIFTS
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.member import decode

KIND, TEACHERS = 'PSMT', ('teacher0', 'teacher1')


def unlabeled(model):
    data = prepared(model)
    return Images(data['inputs']['unlabeled'], data['data_samples']['unlabeled'])


def features_of(model, images):
    with torch.no_grad():
        return list(model.member('student0').extract_feat(images.image))


def test_members():
    model = toy_model(KIND, period=7)
    for i, name in enumerate(TEACHERS):
        assert model.members[name][:3] == ('student0', 1, 0) and model.members[name].shift == i
    assert model.shifts.given == 7
    assert model.graph == (TEACHERS,) and model.ensemble_members == list(TEACHERS)


@pytest.mark.parametrize(
    'iteration,updates,both',
    [
        *[(0, None, False), (7, None, False), (8, None, True), (30, None, True)],
        *[(12, {}, False), (12, {0: (0, 7)}, False), (12, {0: (0, 7), 1: (1, 1)}, True)],
    ],
)
def test_a_teacher_without_an_update_does_not_label(iteration, updates, both):
    """By the counts of a run, in which steps of the optimiser may be rare or skipped."""
    model = toy_model(KIND, period=7)
    at_iteration(iteration)
    MessageHub.get_current_instance().update_info(IN_SHIFTS, updates)
    first, second = torch.randn(2, 1, 4, 3, 3)
    want = (first + second) / 2 if both else first
    assert torch.equal(model.mean_logits([first, second]), want)
    frozen = toy_model(KIND, period=7, frozen_teachers=True)
    assert torch.equal(frozen.mean_logits([first, second]), (first + second) / 2)


def test_labels_are_of_the_mean_logits():
    model = ready_model(KIND, adversarial=False)
    at_iteration(10)
    images, seen = unlabeled(model), []
    means = model.pseudo_labels
    model.pseudo_labels = lambda outputs, _: seen.append(outputs) or means(outputs, _)
    losses_of(model, toy_batch())
    (((output,),),) = [found.values() for found in seen]
    with torch.no_grad():
        outputs = model.forward_teachers(dict(unlabeled=images))
    want = sum(outputs[name][0].logits for name in TEACHERS) / 2
    torch.testing.assert_close(output.logits, want)


def teachers_divergence(model, features, target):
    with torch.no_grad():
        logits = model.mean_logits(
            [decode(model.member(name), features, False).logits for name in TEACHERS]
        )
    return pixel_consistency(logits, target, 'kl').sum()


def test_features_change_where_it_moves_the_teachers():
    model, eps = ready_model(KIND, adversarial=dict(eps=0.5)), 0.5
    at_iteration(10)
    images = unlabeled(model)
    features = features_of(model, images)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    changed = model.adversarial(images, None)(features)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(changed[0], features[0])
    change = changed[1] - features[1]
    torch.testing.assert_close(
        change.flatten(1).norm(dim=1), torch.full((2,), eps), rtol=1e-4, atol=0
    )
    with torch.no_grad():
        target = model.mean_logits(
            [decode(model.member(name), features, False).logits for name in TEACHERS]
        ).softmax(1)
    noise = torch.randn(change.shape, generator=torch.Generator().manual_seed(1))
    noise *= eps / noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    moved, shaken = (
        teachers_divergence(model, [features[0], features[1] + step], target)
        for step in (change, noise)
    )
    assert moved > 1.5 * shaken


def test_features_stay_without_it():
    model = ready_model(KIND, adversarial=False)
    assert model.adversarial(unlabeled(model), None) is None
    losses = losses_of(model, toy_batch())
    changed = losses_of(ready_model(KIND), toy_batch())
    assert losses['student0.loss_unsup'] != changed['student0.loss_unsup']
    assert losses['student0.decode.loss_ce'] != changed['student0.decode.loss_ce']


def test_without_a_threshold_there_is_no_negative_learning():
    losses = losses_of(ready_model(KIND, negative_threshold=0.0), toy_batch())
    assert losses['student0.loss_negative'] == 0 and losses['student0.loss_unsup'] > 0


@pytest.mark.parametrize(
    'settings, number',
    [
        (dict(negative_threshold=0.0), 0),
        (dict(), 2),  # of the student and of the teachers
        (dict(consistency=dict(target='soft', confidence_threshold=0.27)), 2),
    ],
)
def test_logits_are_upsampled_where_they_are_read(settings, number):
    model = ready_model(KIND, adversarial=False, **settings)
    made = upsamplings(model)
    losses_of(model, toy_batch())
    assert len(made) == number


@pytest.mark.parametrize('temperature', [1.0, 0.5])
@pytest.mark.parametrize('padded', [False, True])
def test_loss_of_improbable_classes_equals_loops(temperature, padded):
    g = torch.Generator().manual_seed(2)
    logits, target = 2 * torch.randn(2, 2, 4, 3, 5, generator=g)
    valid = torch.ones(2, 3, 5, dtype=torch.bool)
    valid[..., 3:] = not padded
    total, count = 0.0, 0
    for b, y, x in zip(*valid.nonzero(as_tuple=True)):
        p, q = logits[b, :, y, x].softmax(0), (target[b, :, y, x] / temperature).softmax(0)
        for k in range(4):
            if q[k] < 0.1:
                count += 1
                total -= math.log(1 - p[k]) if k != q.argmax() else 0.0
    got = improbable_class_loss(logits, target, 0.1, temperature, valid if padded else None)
    assert count and got.item() == pytest.approx(total / count, rel=1e-4)
    assert improbable_class_loss(logits, target, 0.0) == 0


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(period=0), r'model.period must be a number of iterations'),
        (dict(negative_threshold=2), r'model.negative_threshold must be in \[0, 1\]'),
        (dict(adversarial=dict(eps=0)), r'model.adversarial.eps must be above 0'),
        (dict(adversarial=dict(length=1)), r"model.adversarial has unknown settings \['length'\]"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model(KIND, **settings)
