# Copyright (c) mmseg_ctt contributors.
"""STPG, written out; its contrast is tested in test_stpg_contrast.py."""

import pytest
import torch
import torch.nn.functional as F
from reference import stpg as slow
from toy import NUM_CLASSES, losses_of, toy_batch, toy_model, toy_settings

STILL = []  # the strong view is the weak one
SUPERVISED = {'student0.decode.loss_ce', 'student1.decode.loss_ce'}
TAUGHT = {'student0.loss_general', 'student1.loss_professional', 'student1.selected_ratio'}


def ready(**settings):
    """Members that differ, a full memory, contrast on."""
    contrast = dict(threshold=0.2, dropout=0.0, **settings.pop('contrast', {}))
    given = toy_settings('STPG', **{**dict(bank=dict(size=3), contrast=contrast), **settings})
    model = toy_model('STPG', **given)
    torch.manual_seed(11)
    for member in (*model.students, *model.teachers):
        member.decode_head.conv_seg.weight.data.normal_(std=2)
    if model.contrast is not None:
        bank = model.contrast.bank
        bank.features.normal_()
        bank.count.fill_(bank.size)
        model.contrast.switch(True)
    return model


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


def noted_passes(model, monkeypatch):
    """Batches of each member, filled by the next steps."""
    taken, forward = {}, model.forward_members
    monkeypatch.setattr(
        model,
        'forward_members',
        lambda names, *batches, **more: (
            taken.update(dict.fromkeys(names, batches)),
            forward(names, *batches, **more),
        )[1],
    )
    return taken


# ---- values


@pytest.mark.parametrize('supervision', ['cross', 'self', 'ensemble'])
def test_a_step_by_hand(supervision):
    """The strong view is the weak one here, so that every term can be written out."""
    settings = dict(supervision=supervision, strong_augmentation=STILL, joint_forward=False)
    model, twin = ready(**settings), ready(**settings)
    losses = losses_of(model, toy_batch(2, 3))
    data = twin.data_preprocessor(toy_batch(2, 3), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    label = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])
    teachers = [
        up(twin.forward_member(f'teacher{i}', weak)[0].logits).softmax(1).max(1) for i in range(2)
    ]
    students = [twin.forward_member(f'student{i}', x, weak) for i in range(2)]
    logits = [up(student[1].logits) for student in students]
    source = (1, 0) if supervision == 'cross' else (0, 1)
    targets = [teachers[i] for i in source]
    ce = [F.cross_entropy(logits[i], targets[i].indices, reduction='none') for i in range(2)]
    flat = targets[1].indices.flatten().tolist(), logits[1].argmax(1).flatten().tolist()
    kept = torch.tensor(slow.selected(*flat, slow.mismatch(*flat, NUM_CLASSES))).view(3, 32, 32)
    assert 0 < kept.float().mean() < 1
    terms = twin.contrast(*students[0], label, targets[0].indices)
    want = {
        'student0.decode.loss_ce': F.cross_entropy(up(students[0][0].logits), label),
        'student1.decode.loss_ce': F.cross_entropy(up(students[1][0].logits), label),
        'student0.loss_general': (targets[0].values * ce[0]).mean(),
        'student1.loss_professional': (targets[1].values * kept * ce[1]).mean(),
        'student1.selected_ratio': kept.float().mean(),
        'student0.loss_contrast_labeled': 0.1 * terms['labeled'],
        'student0.loss_contrast_unlabeled': 0.1 * terms['unlabeled'],
    }
    assert set(want) == set(losses)
    for key, value in want.items():
        assert value > 0
        torch.testing.assert_close(losses[key], value, rtol=2e-5, atol=0)


def test_both_students_take_one_cut_mix_and_targets_are_mixed_along(monkeypatch):
    model, twin = ready(loss_weights=dict(professional=0)), ready()
    taken = noted_passes(model, monkeypatch)
    losses = losses_of(model, toy_batch())
    weak, strong = taken['teacher1'][0], taken['student0'][1]
    assert torch.equal(strong, taken['student1'][1]) and not torch.equal(strong, weak)
    pasted = (strong == weak).all(1)
    torch.testing.assert_close(strong, torch.where(pasted.unsqueeze(1), weak, weak.roll(-1, 0)))
    teacher = up(twin.forward_member('teacher1', weak)[0].logits).softmax(1).max(1)
    label, confidence = (
        torch.where(pasted, map_, map_.roll(-1, 0)) for map_ in (teacher.indices, teacher.values)
    )
    student = up(twin.forward_member('student0', taken['student0'][0], strong)[1].logits)
    want = (confidence * F.cross_entropy(student, label, reduction='none')).mean()
    torch.testing.assert_close(losses['student0.loss_general'], want)


def test_padding_is_out_of_the_mean_and_of_the_mismatch():
    settings = dict(strong_augmentation=STILL, joint_forward=False)
    model, twin = ready(**settings), ready(**settings)
    data = model.data_preprocessor(toy_batch(), True)
    for known in data['data_samples']['unlabeled']:
        known.set_metainfo(dict(img_shape=(32, 20)))
    losses = model(**data, mode='loss')
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    teacher = up(twin.forward_member('teacher0', weak)[0].logits).softmax(1).max(1)
    student = up(twin.forward_member('student1', x, weak)[1].logits)
    inside = teacher.indices[..., :20], student.argmax(1)[..., :20]
    flat = [map_.flatten().tolist() for map_ in inside]
    kept = torch.tensor(slow.selected(*flat, slow.mismatch(*flat, NUM_CLASSES))).view(2, 32, 20)
    values = F.cross_entropy(student, teacher.indices, reduction='none') * teacher.values
    pixels = teacher.indices.numel()  # of the padding too
    want = (values[..., :20] * kept).sum() / pixels
    torch.testing.assert_close(losses['student1.loss_professional'], want)
    torch.testing.assert_close(losses['student1.selected_ratio'], kept.sum() / pixels)


# ---- memory


@pytest.mark.parametrize('memory,teacher', [('own', 'teacher0'), ('peer', 'teacher1')])
def test_whose_features_the_memory_holds(memory, teacher, monkeypatch):
    model = ready(contrast=dict(memory=memory), teacher_mode='eval')
    taken, given, update = noted_passes(model, monkeypatch), [], model.contrast.update
    monkeypatch.setattr(
        model.contrast, 'update', lambda *args: (given.append(args[0]), update(*args))[1]
    )
    before = model.contrast.bank.features.clone()
    losses_of(model, toy_batch())
    assert len(taken['teacher0']) + len(taken['teacher1']) == 3 and len(taken[teacher]) == 2
    assert not torch.equal(before, model.contrast.bank.features)
    want = model.forward_member(teacher, *taken[teacher])[1]
    torch.testing.assert_close(given[0].embedding, want.embedding)


def test_memory_is_read_before_it_is_written():
    model, twin = ready(), ready()
    twin.contrast.update = lambda *args: None
    assert losses_of(model, toy_batch()) == losses_of(twin, toy_batch())
    assert losses_of(model, toy_batch()) != losses_of(twin, toy_batch())


def test_an_empty_memory_and_absent_classes():
    model, batch = ready(), toy_batch()
    model.contrast.bank.count.zero_()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data.fill_(2)
    losses = losses_of(model, batch)
    assert losses['student0.loss_contrast_labeled'] > 0  # the anchor term of class 2
    assert model.contrast.bank.count[[0, 1, 3]].sum() == 0


def test_every_label_ignored_changes_no_memory():
    model, batch = ready(), toy_batch()
    before = {key: value.clone() for key, value in model.contrast.state_dict().items()}
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data.fill_(255)
    losses = losses_of(model, batch)
    assert losses['student0.loss_contrast_labeled'] == 0
    after = model.contrast.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_without_contrast_there_is_no_state_of_it():
    model = ready(loss_weights=dict(contrast_labeled=0, contrast_unlabeled=0))
    assert model.contrast is None and not any('contrast.' in key for key in model.state_dict())
    assert set(losses_of(model, toy_batch())) == SUPERVISED | TAUGHT


def test_a_projection_that_stays_random_gets_no_gradient():
    model = ready(contrast=dict(train_projection=False))
    losses = losses_of(model, toy_batch())
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is None for p in model.contrast.projection.parameters())
    assert losses['student0.loss_contrast_labeled'].requires_grad


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(num_pairs=3), 'model.type=STPG is two students with one teacher each: set num_pairs'),
        (dict(num_pairs=1, supervision='self'), 'model.type=STPG is two students'),
        (dict(supervision='dual'), "set num_pairs=2 and supervision='cross', 'self' or 'ensemble'"),
        (dict(supervision='mutual'), 'model.type=STPG is two students with one teacher each'),
        (dict(contrast=dict(width=3)), r"model.contrast .*\['width'\]"),
        (dict(contrast=dict(memory='x')), 'model.contrast.memory'),
        (dict(contrast=dict(dim=2)), 'raise model.contrast.dim'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model('STPG', **settings)
