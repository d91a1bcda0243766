# Copyright (c) mmseg_ctt contributors.
"""U2PL, written out; its contrast is tested in test_u2pl_contrast.py."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from toy import losses_of, total_of, toy_batch, toy_model

from mmseg_ctt.methods.u2pl.entropy import entropy_partition, pixel_entropy
from mmseg_ctt.methods.u2pl.functional import reliable_cross_entropy

STILL = []  # the strong view is the weak one


def at(progress):
    """Set the ratio of the training that is done."""
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', round(100 * progress))
    hub.update_info('max_iters', 100)


def ready(seed=11, **settings):
    """A model whose teacher is certain of many pixels, so that it finds anchors."""
    contrast = dict(
        dim=8, num_anchors=6, num_negatives=5, dropout=0.0, **settings.pop('contrast', {})
    )
    model = toy_model('U2PL', contrast=contrast, **{**dict(bank=dict(size=40)), **settings})
    torch.manual_seed(seed)
    model.teachers[0].decode_head.conv_seg.weight.data.normal_(std=2)
    return model


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


# ---- values


@pytest.mark.parametrize('joint', [True, False])
def test_a_step_by_hand(joint):
    settings = dict(
        strong_augmentation=STILL, joint_forward=joint, drop_percent=30, teacher_mode='eval'
    )
    model, twin = ready(**settings), ready(**settings)
    at(0.25)  # 22.5 percent are unreliable
    losses = losses_of(model, toy_batch(2, 3))
    data = twin.data_preprocessor(toy_batch(2, 3), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    truth = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])
    pseudo = up(twin.forward_member('teacher0', weak)[0].logits).argmax(1)
    teacher = twin.forward_member('teacher0', x, weak)
    student = twin.forward_member('student0', x, weak)
    entropy = pixel_entropy(teacher[1].logits, (32, 32))
    partition = entropy_partition(entropy, 22.5)
    ratio = partition.high.float().mean()
    assert 0.2 < ratio < 0.25
    torch.testing.assert_close(losses['student0.used_ratio'], 1 - ratio)
    torch.testing.assert_close(
        losses['student0.decode.loss_ce'], F.cross_entropy(up(student[0].logits), truth)
    )
    torch.testing.assert_close(
        losses['student0.loss_unsup'],
        reliable_cross_entropy(up(student[1].logits), pseudo, ~partition.high),
    )
    pixels = twin.contrast.pixels(teacher, truth, pseudo, partition)
    twin.contrast.update(pixels, [(7, i) for i in range(5)])
    want = twin.contrast(student, pixels, [(7, 2), (7, 3), (7, 4)])
    assert want > 0
    torch.testing.assert_close(losses['student0.loss_contrast'], want)
    assert torch.equal(model.contrast.bank.features, twin.contrast.bank.features)
    torch.testing.assert_close(losses['queue_fill'], twin.contrast.fill_ratio().mean())


def test_warmup_learns_from_labels_alone():
    """But every parameter is in the graph, as DDP demands."""
    model, later = ready(warmup=0.5), ready(warmup=0.5)
    at(0.49)
    losses = losses_of(model, toy_batch())
    for key in ('loss_unsup', 'loss_contrast', 'used_ratio'):
        assert losses[f'student0.{key}'] == 0
    assert losses['student0.loss_unsup'].requires_grad and model.contrast.bank.count.sum() == 0
    total_of(losses, model).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert model.contrast.projection.outer.weight.grad.abs().sum() == 0
    at(0.5)
    trained = losses_of(later, toy_batch())
    assert trained['student0.loss_unsup'] > 0 and set(trained) == set(losses)


def test_unreliable_pixels_are_fewer_later():
    used = []
    for progress in (0, 0.5, 1):
        at(progress)
        used.append(losses_of(ready(), toy_batch())['student0.used_ratio'].item())
    assert used == pytest.approx([0.8, 0.9, 1], abs=0.002)


def test_drop_percent():
    few, many = (
        losses_of(ready(drop_percent=percent), toy_batch())['student0.used_ratio'].item()
        for percent in (5, 40)
    )
    assert few == pytest.approx(0.95, abs=0.002) and many == pytest.approx(0.6, abs=0.002)


@pytest.mark.parametrize('kind', ['CutMixing', 'ClassMixing'])
def test_pseudo_labels_are_mixed_as_the_images_are(kind, monkeypatch):
    model = ready(strong_augmentation=[dict(type=kind)], label_mode='train')
    given, views = [], []
    pixels, strong = model.contrast.pixels, model.strong_augmentation.several
    monkeypatch.setattr(
        model.contrast, 'pixels', lambda *args: (given.append(args[2]), pixels(*args))[1]
    )
    monkeypatch.setattr(
        model.strong_augmentation,
        'several',
        lambda *args: (views.extend(strong(*args)), views[-1:])[1],
    )
    losses_of(model, toy_batch(2, 3))
    assert len(views) == 1
    weak = model.data_preprocessor(toy_batch(2, 3), True)['inputs']['unlabeled']
    pseudo = up(model.forward_member('teacher0', weak)[0].logits).argmax(1)
    assert torch.equal(given[0], views[0].apply_mix(pseudo))
    assert not torch.equal(given[0], pseudo)


@pytest.mark.parametrize('label_mode', ['eval', 'train'])
@pytest.mark.parametrize('teacher_mode', ['eval', 'train'])
def test_modes_of_the_teacher(label_mode, teacher_mode, monkeypatch):
    model = ready(label_mode=label_mode, teacher_mode=teacher_mode)
    modes, forward = [], model.forward_members
    monkeypatch.setattr(
        model,
        'forward_members',
        lambda names, *batches, **more: (
            modes.append((names[0], model.member(names[0]).backbone.norm.training)),
            forward(names, *batches, **more),
        )[1],
    )
    losses_of(model, toy_batch())
    assert modes == [
        ('teacher0', label_mode == 'train'),
        ('student0', True),
        ('teacher0', teacher_mode == 'train'),
    ]


def test_padding_does_not_enter_the_percentiles():
    model = ready(strong_augmentation=STILL)
    data = model.data_preprocessor(toy_batch(), True)
    for known in data['data_samples']['unlabeled']:
        known.set_metainfo(dict(img_shape=(32, 16)))
    used = model(**data, mode='loss')['student0.used_ratio']
    assert used.item() == pytest.approx(0.4, abs=0.002)


# ---- teachers and state


def test_the_projection_has_a_teacher_of_its_own():
    model = ready()
    contrast = model.contrast
    with torch.no_grad():
        contrast.projection.outer.weight.add_(1)
    pairs = [(follower.module, follower.followed) for follower in model.followers()]
    assert pairs == [
        (model.teachers[0], model.students[0]),
        (contrast.teacher_projection, contrast.projection),
    ]
    own, average = contrast.projection.outer.weight, contrast.teacher_projection.outer.weight
    assert not torch.equal(own, average) and not average.requires_grad
    model.copy_to_followers()
    assert torch.equal(own, average)


def test_members_are_plain_segmentors():
    """What the contrast adds is no part of them, so that they can be exported."""
    plain = {key for key in ready().state_dict() if key.startswith('students.0.')}
    assert {key.split('.')[2] for key in plain} == {'backbone', 'decode_head'}


def test_without_contrast_there_are_no_queues():
    model = toy_model('U2PL', loss_weights=dict(contrast=0))
    assert model.contrast is None and len(model.followers()) == 1
    assert not any('contrast' in name for name in model.state_dict())
    losses = losses_of(model, toy_batch())
    assert losses['student0.loss_unsup'] > 0 and 'student0.loss_contrast' not in losses
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is not None for p in model.students.parameters())
    model.warmup = 0.5
    assert losses_of(model, toy_batch()).keys() == losses.keys()


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(drop_percent=60), r'drop_percent must be in \[0, 50\].*60'),
        (dict(warmup=1.0), r'warmup must be in \[0, 1\)'),
        (dict(label_mode='off'), "label_mode must be one of .*'off'"),
        (dict(contrast=dict(num_classes=3)), r"model.contrast .*\['num_classes'\]"),
        (dict(contrast=dict(ranks=(4, 20))), r'contrast.ranks=\(4, 20\) leaves no class of 4'),
        (dict(contrast=dict(ranks=(3, 3))), r'contrast.ranks=\(3, 3\)'),
        (dict(contrast=dict(negatives='all')), "contrast.negatives must be one of .*'all'"),
        (dict(contrast=dict(temperature=0)), 'contrast.temperature must be above 0'),
        (dict(contrast=dict(num_anchors=0)), 'contrast.num_anchors must be at least 1'),
        (dict(bank=dict(dim=7)), 'bank.dim=7 does not match the representation, which is 256 wide'),
        (dict(bank=dict(size=5, budget=6)), 'bank.budget must be at most model.bank.size=5'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model('U2PL', **settings)
