# Copyright (c) mmseg_ctt contributors.
"""VAT with a mean teacher: the adversarial change, and a step by hand."""

import pytest
import torch
from mmengine.structures import LabelData
from toy import losses_of, prepared, ready_model, toy_batch, toy_model, toy_settings

from mmseg_ctt.functional import adaptive_radius, pixel_consistency
from mmseg_ctt.methods import vat as module
from mmseg_ctt.nn.alignment import MemberAlignment
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.member import PixelOutput, forward_member
from mmseg_ctt.nn.repeated_pass import RandomState, constant_statistics

KIND = 'VirtualAdversarialTeacher'


def pieces(model):
    """Arguments of `change`: images, view, logits, padding, the state of the teacher's dropout."""
    data = prepared(model)
    images = {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in data['inputs']
    }
    random = RandomState.of(torch.device('cpu'))
    outputs = model.teacher_outputs(**images)
    (target,) = model.pseudo_labels(outputs, images['unlabeled']).values()
    view = model.strong_view(images['unlabeled'], target.label)
    return images['unlabeled'], view, outputs['teacher0'][0].logits, None, random


def target_of(model, images, logits):
    """Pseudo-label of the view, which is the weak one."""
    (target,) = model.pseudo_labels({'teacher0': [PixelOutput(logits, None, [])]}, images).values()
    return target


def divergence(model, image, target):
    """Of the teacher's prediction, mean over pixels."""
    teacher = model.member('teacher0')
    with torch.no_grad(), constant_statistics(teacher):
        logits = forward_member(teacher, image, embedding=False).logits
    return pixel_consistency(
        model.upsampled(logits, (32, 32)), target.logits.softmax(1), 'kl'
    ).mean()


@pytest.mark.parametrize('direction', ['teacher', 'student'])
@pytest.mark.parametrize('adaptive', [True, False])
def test_the_change_moves_a_prediction_more_than_noise_of_its_length(direction, adaptive):
    model = ready_model(KIND, direction=direction, adaptive=adaptive, radius=0.2)
    model.member('student0').load_state_dict(model.member('teacher0').state_dict())
    given = pieces(model)
    change = model.change(*given)
    want = adaptive_radius(given[1].image, 0.2).flatten()
    if not adaptive:
        want = torch.full_like(want, 0.2 * (3 * 32 * 32) ** 0.5)
    torch.testing.assert_close(change.flatten(1).norm(dim=1), want)
    noise = torch.randn(change.shape, generator=torch.Generator().manual_seed(1))
    noise *= (want / noise.flatten(1).norm(dim=1)).view(-1, 1, 1, 1)
    target = target_of(model, given[0], given[2])
    moved, shaken = (divergence(model, given[1].image + step, target) for step in (change, noise))
    assert moved > 1.5 * shaken


@pytest.mark.parametrize('direction', ['teacher', 'student'])
def test_passes_of_the_direction_are_those_of_the_unchanged_images(direction, monkeypatch):
    """The same dropout, no average of batch norm moves, weights are constants for them alone."""
    model = toy_model(KIND, dropout=0.5, **toy_settings(KIND, direction=direction))
    given, calls = pieces(model), []

    def change(predict, values, target, *args, **kwargs):
        network = model.member(f'{direction}0')
        assert not any(weight.requires_grad for weight in network.parameters())
        calls.append((predict(values).softmax(1), target))
        return torch.zeros_like(values)

    monkeypatch.setattr(module, 'adversarial_change', change)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.change(*given)
    torch.testing.assert_close(*calls[0])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.students.parameters())


def test_a_step_by_hand():
    model = ready_model(KIND)
    images, view, teacher, *rest = pieces(model)
    image = view.image + model.change(images, view, teacher, *rest)
    target = target_of(model, images, teacher)
    data = prepared(model)
    joint = torch.cat([data['inputs']['labeled'], image])
    logits = forward_member(model.member('student0'), joint, embedding=False).logits[2:]
    value = pixel_consistency(
        model.upsampled(logits, images.size), target.logits.softmax(1), 'kl'
    ).mean()
    ratio = (target.confidence >= 0.27).float().mean()
    losses = losses_of(ready_model(KIND), toy_batch())
    torch.testing.assert_close(losses['student0.loss_unsup'], 0.1 * ratio * value)
    assert losses['student0.confident_ratio'] == ratio


@pytest.mark.parametrize('direction', ['teacher', 'student'])
@pytest.mark.parametrize('limit', ['alignment', 'tags', 'hard'])
def test_the_direction_is_that_of_the_own_prediction(direction, limit, monkeypatch):
    """What limits or aligns the target of the loss, or makes it hard, changes no direction."""
    other = dict(use_tags=True) if limit == 'tags' else {}
    if limit == 'hard':
        other = dict(consistency=dict(target='hard', confidence_threshold=0.27))
    batch = toy_batch()
    for sample in batch['data_samples'][2:]:
        sample.gt_tags = LabelData(metainfo=dict(background=True), label=torch.tensor([0, 1, 0, 0]))
    found, losses, make = [], [], module.adversarial_change

    def noted(*args, **kwargs):
        found.append(make(*args, **kwargs))
        return found[-1]

    monkeypatch.setattr(module, 'adversarial_change', noted)
    for settings in ({}, other):
        model = ready_model(KIND, direction=direction, **settings)
        if len(losses) and limit == 'alignment':
            model.alignment = MemberAlignment(['teacher0'], torch.tensor([0.7, 0.1, 0.1, 0.1]))
        losses.append(losses_of(model, batch)['student0.loss_unsup'])
    assert torch.equal(*found) and found[0].any()
    assert losses[0] != losses[1]  # the target of the loss is another


def test_padding_is_not_changed():
    model = ready_model(KIND)
    images, view, teacher, _, random = pieces(model)
    valid = torch.ones(2, 32, 32, dtype=torch.bool)
    valid[..., 20:] = False
    change = model.change(images, view, teacher, valid, random)
    assert change[..., :20].abs().min() >= 0 and change[..., :20].any()
    assert not change[..., 20:].any()


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(direction='old'), r"model.direction must be one of .*'teacher'"),
        (dict(radius=0), r'model.radius must be above 0'),
        (dict(xi=-1.0), r'model.xi must be above 0'),
        (dict(num_iterations=0), r'model.num_iterations must be at least 1'),
        (dict(adaptive=2), r'model.adaptive must be one of'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model(KIND, **settings)
