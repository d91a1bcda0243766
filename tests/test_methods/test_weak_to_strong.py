# Copyright (c) mmseg_ctt contributors.
"""Steps of the methods that are one file each, written out."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from toy import losses_of, toy_batch, toy_model

from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.images import Images

ALL = ('MeanTeacher', 'CrossPseudoSupervision', 'FixMatchSeg', 'ClassMix', 'CutMixSeg')


def ready(kind, std=0.3, **settings):
    """Members that differ, with confidences on both sides of a threshold of 0.4."""
    model = toy_model(kind, **settings)
    torch.manual_seed(11)
    for name in model.members:
        model.member(name).decode_head.conv_seg.weight.data.normal_(std=std)
    return model


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


def sources(model, batch):
    data = model.data_preprocessor(batch, True)
    return [Images(data['inputs'][name], data['data_samples'][name]) for name in data['inputs']]


def view_of(model, unlabeled, label, index=0):
    """The strong view; its step is tested with the augmentation."""
    return model.strong_view(unlabeled, label, index)


# ---- mean teacher


@pytest.mark.parametrize('on_labeled', [True, False])
def test_mean_teacher(on_labeled):
    settings = dict(on_labeled=on_labeled, loss_weights=dict(consistency=10.0, sup=2.0))
    model, twin = (ready('MeanTeacher', **settings) for _ in range(2))
    losses = losses_of(model, toy_batch(2, 3))
    labeled, unlabeled = sources(twin, toy_batch(2, 3))
    batches = [unlabeled.image, labeled.image] if on_labeled else [unlabeled.image]
    teacher = [up(output.logits) for output in twin.forward_member('teacher0', *batches)]
    view = view_of(twin, unlabeled, teacher[0].argmax(1))
    assert view.mixes == () and not torch.equal(view.image, unlabeled.image)
    student = twin.forward_member('student0', labeled.image, view.image)
    student = [up(output.logits) for output in student]
    pairs = [(student[1], teacher[0])] + ([(student[0], teacher[1])] if on_labeled else [])
    squares = torch.cat([(a.softmax(1) - b.softmax(1)).square().mean(1) for a, b in pairs])
    assert len(squares) == (5 if on_labeled else 3)
    torch.testing.assert_close(losses['student0.loss_consistency'], 10 * squares.mean())
    supervised = 2 * F.cross_entropy(student[0], labeled.labels)
    torch.testing.assert_close(losses['student0.decode.loss_ce'], supervised)
    assert losses['student0.confident_ratio'] == 1


def test_mean_teacher_with_hard_labels():
    settings = dict(
        consistency=dict(target='hard', confidence_threshold=0.4), strong_augmentation=[]
    )
    model, twin = (ready('MeanTeacher', on_labeled=False, **settings) for _ in range(2))
    losses = losses_of(model, toy_batch())
    labeled, unlabeled = sources(twin, toy_batch())
    confidence, label = (
        up(twin.forward_member('teacher0', unlabeled.image)[0].logits).softmax(1).max(1)
    )
    student = up(twin.forward_member('student0', labeled.image, unlabeled.image)[1].logits)
    kept = confidence >= 0.4
    assert 0 < kept.float().mean() < 1
    want = (F.cross_entropy(student, label, reduction='none') * kept).mean()
    torch.testing.assert_close(losses['student0.loss_consistency'], want)
    torch.testing.assert_close(losses['student0.confident_ratio'], kept.float().mean())


@pytest.mark.parametrize('done,progress', [(0, 0.0), (1, 0.4), (3, 1.0)])
def test_mean_teacher_climbs_in_the_first_quarter(done, progress):
    hub = MessageHub.get_current_instance()
    full = losses_of(ready('MeanTeacher'), toy_batch())['student0.loss_consistency']
    hub.update_info('iter', done)
    hub.update_info('max_iters', 10)
    losses = losses_of(ready('MeanTeacher'), toy_batch())
    want = full * math.exp(-5 * (1 - progress) ** 2)
    torch.testing.assert_close(losses['student0.loss_consistency'], want)


# ---- cross pseudo supervision


def test_cross_pseudo_supervision():
    """With CutMix: labels of both students on the weak view are mixed as the images."""
    model, twin = (ready('CrossPseudoSupervision') for _ in range(2))
    losses = losses_of(model, toy_batch(2, 3))
    labeled, unlabeled = sources(twin, toy_batch(2, 3))
    with torch.no_grad():
        label = [
            up(twin.forward_member(f'student{i}', unlabeled.image)[0].logits).argmax(1)
            for i in range(2)
        ]
    view = view_of(twin, unlabeled, label[1])
    assert len(view.mixes) == 1
    for i in range(2):
        on_labeled, on_view = twin.forward_member(f'student{i}', labeled.image, view.image)
        want = F.cross_entropy(up(on_view.logits), view.apply_mix(label[1 - i]))
        torch.testing.assert_close(losses[f'student{i}.loss_cps'], want)
        supervised = F.cross_entropy(up(on_labeled.logits), labeled.labels)
        torch.testing.assert_close(losses[f'student{i}.decode.loss_ce'], supervised)
        assert losses[f'student{i}.confident_ratio'] == 1


def test_cross_pseudo_supervision_without_cut_mix():
    """Both batches are passed once, and each student learns the other's labels of both."""
    settings = dict(strong_augmentation=[], loss_weights=dict(cps=1.5))
    model, twin = (ready('CrossPseudoSupervision', **settings) for _ in range(2))
    passes, forward = [], model.forward_members
    model.forward_members = lambda names, *batches, **more: (
        passes.append((tuple(names), [len(batch) for batch in batches])),
        forward(names, *batches, **more),
    )[1]
    losses = losses_of(model, toy_batch(2, 3))
    assert passes == [(('student0', 'student1'), [2, 3])]
    labeled, unlabeled = sources(twin, toy_batch(2, 3))
    logits = [
        up(torch.cat([o.logits for o in twin.forward_member(name, labeled.image, unlabeled.image)]))
        for name in ('student0', 'student1')
    ]
    for i in range(2):
        want = 1.5 * F.cross_entropy(logits[i], logits[1 - i].argmax(1))
        torch.testing.assert_close(losses[f'student{i}.loss_cps'], want)


def test_the_students_of_cross_pseudo_supervision_begin_apart():
    students = toy_model('CrossPseudoSupervision').students
    weights = [student.backbone.stem.weight for student in students]
    assert not torch.equal(*weights)


# ---- one pair, one strong view


@pytest.mark.parametrize('kind', ['FixMatchSeg', 'ClassMix', 'CutMixSeg'])
@pytest.mark.parametrize('width', [32, 20])
def test_one_pair(kind, width):
    """FixMatch teaches itself; ClassMix and CutMix-Seg have a teacher."""
    settings = dict(consistency=dict(confidence_threshold=0.4), loss_weights=dict(unsup=0.5))
    model, twin = (ready(kind, **settings) for _ in range(2))
    data = model.data_preprocessor(toy_batch(2, 3), True)
    for known in data['data_samples']['unlabeled']:
        known.set_metainfo(dict(img_shape=(32, width)))
    losses = model(**data, mode='loss')
    labeled, unlabeled = (
        Images(data['inputs'][name], data['data_samples'][name]) for name in data['inputs']
    )
    with torch.no_grad():
        (name,) = twin.teaching_members
        teacher = up(twin.forward_member(name, unlabeled.image)[0].logits).softmax(1)
    assert name == ('student0' if kind == 'FixMatchSeg' else 'teacher0')
    confidence, label = teacher.max(1)
    valid = torch.arange(32).expand_as(label) < width
    view = view_of(twin, unlabeled, label.masked_fill(~valid, 255))
    assert len(view.mixes) == 1
    _, student = twin.forward_member('student0', labeled.image, view.image)
    student = up(student.logits)
    label, confidence, valid, teacher = map(
        view.apply_mix, (label, confidence * valid, valid, teacher)
    )
    confident = (confidence >= 0.4) & valid
    ratio = confident.float().mean()
    assert 0 < ratio < valid.float().mean()
    values = F.cross_entropy(student, label, reduction='none')
    if kind == 'FixMatchSeg':
        want = (values * confident).sum() / valid.sum()
    elif kind == 'ClassMix':
        want = ratio * (values * valid).mean()
    else:
        squares = (student.softmax(1) - teacher).square().sum(1)
        want = ratio * (squares * valid).mean()
    torch.testing.assert_close(losses['student0.loss_unsup'], 0.5 * want)
    torch.testing.assert_close(losses['student0.confident_ratio'], ratio)


# ---- defaults, as the papers and their code have them


@pytest.mark.parametrize('kind', ALL)
def test_defaults(kind):
    model = toy_model(kind)
    weights = dict(
        MeanTeacher=dict(sup=1, consistency=1),
        CrossPseudoSupervision=dict(sup=1, cps=1),
        FixMatchSeg=dict(sup=1, unsup=1),
        ClassMix=dict(sup=1, unsup=1),
        CutMixSeg=dict(sup=1, unsup=1),
    )
    thresholds = dict(
        MeanTeacher=0, CrossPseudoSupervision=0, FixMatchSeg=0.95, ClassMix=0.968, CutMixSeg=0.97
    )
    steps = dict(
        MeanTeacher=['ColorJitter', 'GaussianBlur'],
        CrossPseudoSupervision=['CutMixing'],
        FixMatchSeg=['ColorJitter', 'RandomGreyscale', 'GaussianBlur', 'CutMixing'],
        ClassMix=['ClassMixing', 'ColorJitter', 'GaussianBlur'],
        CutMixSeg=['CutMixing'],
    )
    assert model.weights == weights[kind]
    assert model.consistency.confidence_threshold == thresholds[kind]
    assert [type(step).__name__ for step in model.strong_augmentation.steps] == steps[kind]
    members = dict(CrossPseudoSupervision=['student0', 'student1'], FixMatchSeg=['student0'])
    assert list(model.members) == members.get(kind, ['student0', 'teacher0'])
    assert model.predict_on == ('teacher0' if len(model.teachers) else 'student0')


# ---- parts of labelled images


@pytest.mark.parametrize('num_labeled', [2, 4])
def test_parts_of_labelled_images_have_their_true_labels(num_labeled):
    steps = [dict(type='ClassMixing', partner='labeled')]
    settings = dict(strong_augmentation=steps, consistency=dict(confidence_threshold=0.4))
    model, twin = (ready('ClassMix', **settings) for _ in range(2))
    losses = losses_of(model, toy_batch(num_labeled, 3))
    labeled, unlabeled = sources(twin, toy_batch(num_labeled, 3))
    chosen = [i % num_labeled for i in range(3)]
    image, truth = labeled.image[chosen], labeled.labels[chosen]
    with torch.no_grad():
        logits = up(twin.forward_member('teacher0', unlabeled.image)[0].logits)
    confidence, pseudo = logits.softmax(1).max(1)
    pool = Images(
        torch.cat([unlabeled.image, image]),
        [*unlabeled.samples, *(labeled.samples[i] for i in chosen)],
    )
    view = view_of(twin, pool, torch.cat([pseudo, truth]))
    assert len(view.image) == 3
    target = view.apply_mix(torch.cat([pseudo, truth]))
    kept = view.apply_mix(torch.cat([confidence, torch.ones_like(confidence)])) >= 0.4
    true = view.apply_mix(torch.cat([torch.zeros_like(pseudo), torch.ones_like(truth)])) > 0
    assert 0 < true.float().mean() < 1 and kept[true].all()
    on_labeled, on_view = twin.forward_member('student0', labeled.image, view.image)
    loss = F.cross_entropy(up(on_view.logits), target, reduction='none')
    ratio = losses['student0.confident_ratio']
    torch.testing.assert_close(ratio, kept[~true].float().mean())  # of pseudo-labels alone
    assert 0 < ratio < 1
    weight = torch.where(true, torch.ones(()), ratio)
    torch.testing.assert_close(losses['student0.loss_unsup'], (loss * weight).mean())
    supervised = F.cross_entropy(up(on_labeled.logits), labeled.labels)
    torch.testing.assert_close(losses['student0.decode.loss_ce'], supervised)


TAKING = [name for name, kind in registered_methods().items() if kind.takes_labeled]


@pytest.mark.parametrize('kind', TAKING)
def test_methods_that_take_parts_of_labelled_images_do(kind, monkeypatch):
    steps = [dict(type='CutMixing', partner='labeled', area=(1, 1))]  # all of the labelled images
    settings = {**registered_methods()[kind].toy_settings, 'strong_augmentation': steps}
    model, views = ready(kind, **settings), []
    made = model.several_views
    monkeypatch.setattr(
        model, 'several_views', lambda *given: views.extend(made(*given)) or views[-1:]
    )
    losses_of(model, toy_batch(2, 2))
    labeled, _ = sources(model, toy_batch(2, 2))
    assert views and all(torch.equal(view.image, labeled.image) for view in views)


@pytest.mark.parametrize('kind', ['UniMatch', 'MeanTeacher', 'AugSeg'])
def test_methods_that_mix_unlabelled_images_alone_say_so(kind):
    steps = [dict(type='CutMixing', partner='labeled')]
    with pytest.raises(ValueError, match='mixes unlabelled images alone'):
        toy_model(kind, strong_augmentation=steps)
