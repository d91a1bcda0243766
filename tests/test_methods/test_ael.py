# Copyright (c) mmseg_ctt contributors.
"""Adaptive Equalization Learning, written out; its parts are tested in files of their own."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from toy import NUM_CLASSES, losses_of, toy_batch, toy_model

from mmseg_ctt.datasets.nodata import FIELD as NODATA
from mmseg_ctt.functional import cross_entropy, pseudo_label
from mmseg_ctt.methods.ael.functional import class_confidence_sums
from mmseg_ctt.nn.images import Images

STILL = []  # the colours stay
PLAIN = dict(copy_paste=False, cut_mix=False, strong_augmentation=STILL)  # strong = weak view
KNOWN = torch.tensor([0.9, 0.1, 0.6, 0.3])
KEYS = {
    'student0.decode.loss_ce',
    'student0.loss_labeled',
    'student0.loss_unlabeled',
    'student0.kept_ratio_labeled',
    'student0.kept_ratio_unlabeled',
    'student0.confident_ratio',
}
LABELED = {key for key in KEYS if not key.endswith(('unlabeled', 'confident_ratio'))}


def ready(threshold=0.0, consistency=None, **settings):
    """A model with a teacher of its own and a class confidence that has learnt something."""
    consistency = dict(dict(confidence_threshold=threshold), **(consistency or {}))
    model = toy_model('AEL', consistency=consistency, **settings)
    torch.manual_seed(12)
    # with batch statistics, this teacher predicts all classes about as often
    model.teachers[0].decode_head.conv_seg.weight.data.normal_(std=2)
    model.class_confidence.confidence.copy_(KNOWN)
    model.class_confidence.updates.fill_(50)
    return model


def raw(model, labeled=3, unlabeled=3, seed=0):
    return model.data_preprocessor(toy_batch(labeled, unlabeled, seed), True)


# ---- values


@pytest.mark.parametrize('joint', [True, False])
def test_a_step_by_hand(joint):
    settings = dict(
        PLAIN,
        threshold=0.5,
        joint_forward=joint,
        consistency=dict(sample_by=None),
        loss_weights=dict(labeled=0.5, unlabeled=2.0),
    )
    model, twin = ready(**settings), ready(**settings)
    losses = losses_of(model, toy_batch(2, 3))
    data = raw(twin, 2, 3)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    truth = torch.cat([s.gt_sem_seg.data for s in data['data_samples']['labeled']])
    teacher = twin.forward_member('teacher0', weak, x)
    student = twin.forward_member('student0', x, weak)
    full = [F.interpolate(output.logits, (32, 32), mode='bilinear') for output in student]
    torch.testing.assert_close(losses['student0.decode.loss_ce'], cross_entropy(full[0], truth))
    for name, logits, output, scale in (
        ('labeled', full[0], teacher[1], 0.5),
        ('unlabeled', full[1], teacher[0], 2.0),
    ):
        label, confidence = pseudo_label(output.logits, (32, 32))
        weight = confidence**2
        values = F.cross_entropy(logits, label, reduction='none') * (confidence >= 0.5)
        torch.testing.assert_close(
            losses[f'student0.loss_{name}'], scale * (weight * values).sum() / weight.sum()
        )
        ratio = (confidence >= 0.5).float().mean()
        assert losses[f'student0.kept_ratio_{name}'] == ratio
    assert losses['student0.confident_ratio'] == ratio, 'of the unlabelled images'
    total, count = class_confidence_sums(full[0], truth, NUM_CLASSES)
    want = (KNOWN * 50 / 51 + total / count / 51).float()
    torch.testing.assert_close(model.class_confidence.confidence, want)
    assert torch.equal(model.class_confidence.pixels, torch.bincount(truth.flatten()))


def passes_of(model, batch):
    """Images that each member takes."""
    taken, forward = {}, model.forward_members
    model.forward_members = lambda names, *batches, **more: (
        taken.update({name: [images.clone() for images in batches] for name in names}),
        forward(names, *batches, **more),
    )[1]
    losses_of(model, batch)
    return taken


def test_who_takes_which_images():
    model = ready(copy_paste=dict(prob=1.0), strong_augmentation=STILL)
    data = raw(model)
    taken = passes_of(model, toy_batch(3, 3))
    (pasted, strong), (weak, also_pasted) = taken['student0'], taken['teacher0']
    assert torch.equal(weak, data['inputs']['unlabeled'])
    assert torch.equal(pasted, also_pasted)
    assert not torch.equal(pasted, data['inputs']['labeled'])
    ratios = []
    for i in range(3):
        own = (strong[i] == weak[i]).all(0)
        other = torch.stack([(strong[i] == weak[j]).all(0) for j in range(3) if j != i])
        assert (own | other.any(0)).all()  # cut from images of the batch, nothing else
        ratios.append(own.float().mean().item())
    assert 0 < sum(ratios) < 3


def updates_of(model):
    """Arguments of the updates of the class confidence, filled by the next steps."""
    calls, update = [], model.class_confidence.update
    model.class_confidence.update = lambda *args: (calls.append(args), update(*args))
    return calls


def test_labels_are_pasted_along_and_the_batch_stays_as_it_was():
    model = ready(copy_paste=dict(prob=1.0))
    data = raw(model)
    before = [s.gt_sem_seg.data.clone() for s in data['data_samples']['labeled']]
    calls = updates_of(model)
    model(**data, mode='loss')
    ((_, label, truth, _),) = calls
    assert torch.equal(truth, torch.cat(before))
    changed = label != truth
    assert changed.any() and (label == truth.roll(-1, 0))[changed].all()
    after = [s.gt_sem_seg.data for s in data['data_samples']['labeled']]
    assert all(map(torch.equal, before, after))


def test_pixels_without_data_are_pasted_along():
    """Of rasters; there the teacher has nothing to say."""
    model = ready(copy_paste=dict(prob=1.0))
    data = raw(model)
    missing = torch.zeros(1, 32, 32, dtype=torch.bool)
    missing[:, :8] = True
    first = data['data_samples']['labeled'][0]
    first.set_data({NODATA: PixelData(data=missing)})
    first.gt_sem_seg.data[missing] = 255
    labeled = Images(data['inputs']['labeled'], data['data_samples']['labeled'])
    pasted, _ = model._paste(labeled)
    valid = pasted.valid()
    assert torch.equal(valid, pasted.labels != 255)
    assert not valid[0, :8].all() and valid[1:, 8:].all()
    assert valid[0, :8].any(), 'pixels of another image'


def test_edges_are_pasted_along():
    """And any other map of the samples, which a loss may read."""
    model, batch = ready(copy_paste=dict(prob=1.0)), toy_batch(3, 3)
    for i, sample in enumerate(batch['data_samples'][:3]):
        sample.gt_edge_map = PixelData(data=torch.full((1, 32, 32), i))
        sample.margin = PixelData(data=torch.full((2, 32, 32), i / 8))
    data = model.data_preprocessor(batch, True)
    labeled = Images(data['inputs']['labeled'], data['data_samples']['labeled'])
    pasted, _ = model._paste(labeled)
    from_neighbour = pasted.labels != labeled.labels
    edges, margin = pasted.maps('gt_edge_map'), pasted.maps('margin')
    assert from_neighbour.any() and edges.dtype == torch.int64
    for i in range(3):
        assert (edges[i, 0][from_neighbour[i]] == (i + 1) % 3).all()
        assert set(edges[i].unique().tolist()) == {i, (i + 1) % 3}
        assert torch.equal(margin[i], (edges[i] / 8).expand(2, -1, -1))


def test_tail_classes_come_from_the_labels_so_far():
    model = ready(copy_paste=dict(prob=1.0))
    pixels = torch.tensor([1000, 10, 1000, 1000])
    model.class_confidence.pixels.copy_(pixels)
    calls = updates_of(model)
    losses_of(model, toy_batch(3, 3))
    ((_, label, truth, _),) = calls
    assert (label[label != truth] == 1).all() and (label != truth).any()
    total = torch.bincount(truth.flatten(), minlength=NUM_CLASSES)
    assert torch.equal(model.class_confidence.pixels, pixels + total)


# ---- settings


@pytest.mark.parametrize(
    'settings,changes',
    [
        (dict(copy_paste=False), LABELED),
        (dict(copy_paste=dict(tail=[1])), LABELED),
        (dict(cut_mix=False), {'student0.loss_unlabeled'}),
        (dict(cut_mix=dict(adaptive=False)), {'student0.loss_unlabeled'}),
        (dict(strong_augmentation=STILL), {'student0.loss_unlabeled'}),
        (dict(threshold=0.8), {'student0.loss_labeled', 'student0.loss_unlabeled'}),
        (dict(consistency=dict(gamma=0.0)), {'student0.loss_labeled', 'student0.loss_unlabeled'}),
        (
            dict(consistency=dict(beta=3.0)),
            {'student0.kept_ratio_labeled', 'student0.kept_ratio_unlabeled'},
        ),
        (dict(consistency=dict(sample_by='student')), {'student0.loss_unlabeled'}),
    ],
)
def test_every_setting_changes_what_it_says(settings, changes):
    batch = dict(joint_forward=False)  # so that one half does not move the other
    plain = losses_of(ready(**batch), toy_batch(3, 3))
    other = losses_of(ready(**batch, **settings), toy_batch(3, 3))
    assert all(plain[key] != other[key] for key in changes)
    if 'cut_mix' in settings or 'strong_augmentation' in settings:
        assert plain['student0.kept_ratio_labeled'] == other['student0.kept_ratio_labeled']


@pytest.mark.parametrize('key', ['copy_paste', 'cut_mix'])
def test_a_switch_is_on_off_or_settings_and_not_none(key):
    assert getattr(toy_model('AEL', **{key: True}), key) is not None
    assert getattr(toy_model('AEL', **{key: False}), key) is None
    with pytest.raises(TypeError, match=rf'^model\.{key} must be True, False .*, got None'):
        toy_model('AEL', **{key: None})


@pytest.mark.parametrize(
    'settings,message',
    [
        (
            dict(strong_augmentation=[dict(type='ClassMixing')]),
            'model.strong_augmentation: AEL mixes by model.cut_mix; remove the steps that mix',
        ),
        (dict(class_confidence=dict(momentum=2)), 'model.class_confidence.momentum'),
        (dict(class_confidence=dict(num_classes=2)), r"model.class_confidence .*\['num_classes'\]"),
        (dict(copy_paste=dict(tail=[9])), 'model.copy_paste.tail'),
        (dict(cut_mix=dict(object_area=2)), 'model.cut_mix.object_area'),
        (dict(consistency=dict(gamma=-1)), 'model.consistency'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        toy_model('AEL', **settings)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('sizes,setting', [((1, 2), 'copy_paste'), ((2, 1), 'cut_mix')])
def test_a_batch_of_one_cannot_be_mixed(sizes, setting):
    with pytest.raises(ValueError, match=f'model.{setting} mixes.*train_dataloader.batch_size'):
        losses_of(ready(), toy_batch(*sizes))
    losses = losses_of(ready(**{setting: False}), toy_batch(*sizes))
    assert all(torch.isfinite(value) for value in losses.values())


# ---- corners


def test_every_label_ignored_leaves_the_class_confidence_as_it_is():
    model, batch = ready(), toy_batch(3, 3)
    for sample in batch['data_samples'][:3]:
        sample.gt_sem_seg.data.fill_(255)
    assert losses_of(model, batch)['student0.decode.loss_ce'] == 0
    assert torch.equal(model.class_confidence.confidence, KNOWN)
    assert model.class_confidence.pixels.sum() == 0


def test_a_student_that_is_certain_of_every_class():
    model = ready()
    model.class_confidence.confidence.fill_(1.0)
    losses = losses_of(model, toy_batch(3, 3))
    assert all(torch.isfinite(value) for value in losses.values())


def test_the_teacher_of_the_pseudo_label_hook_takes_both_batches():
    """As in a step, where its batch statistics are those of both."""
    model, twin = ready(joint_forward=True), ready(joint_forward=True)
    data = raw(model)
    images = {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in data['inputs']
    }
    (target,) = model.inspect_pseudo_labels(**images).values()
    pasted, _ = twin._paste(images['labeled'])
    assert not torch.equal(pasted.image, images['labeled'].image)
    weak, _ = twin.forward_member('teacher0', images['unlabeled'].image, pasted.image)
    label, confidence = pseudo_label(weak.logits, (32, 32))
    assert torch.equal(target.label, label) and torch.equal(target.confidence, confidence)


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(consistency=dict(confident=0.5)), 'confident of version 0.1 is now confidence_thr'),
        (dict(copy_paste=dict(tail_share=2)), 'tail_share of version 0.1 is now tail_ratio'),
    ],
)
def test_former_settings_of_parts(settings, message):
    with pytest.raises(ValueError, match=f'^model.{next(iter(settings))}: {message}'):
        toy_model('AEL', **settings)
