# Copyright (c) mmseg_ctt contributors.
"""Cross-Teacher Training, written out; its contrast is tested in test_ctt_contrast.py."""

import pytest
import torch
import torch.nn.functional as F
from toy import NUM_CLASSES, losses_of, ready_model, toy_batch

from mmseg_ctt.methods.ctt.functional import high_level_contrast, low_level_contrast
from mmseg_ctt.methods.ctt.segmentor import most_confident
from mmseg_ctt.nn.augmentation import StrongAugmentation
from mmseg_ctt.nn.pseudo_label import PseudoLabel

STILL = []  # the strong view is the weak one
MIXES = dict(none=[], classes=[dict(type='ClassMixing')], boxes=[dict(type='CutMixing')])


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


def ready(threshold=0.3, **settings):
    """Every term at work, with a confidence threshold."""
    return ready_model(consistency=dict(confidence_threshold=threshold), **settings)


def calls_of(model, name, monkeypatch):
    """Arguments of each call of a method, filled by the next steps."""
    calls, inner = [], getattr(model, name)

    def noted(*args, **kwargs):
        calls.append((args, kwargs))
        return inner(*args, **kwargs)

    monkeypatch.setattr(model, name, noted)
    return calls


# ---- values


@pytest.mark.parametrize('joint', [True, False])
def test_a_step_by_hand(joint):
    """The strong view is the weak one here, so that every term can be written out."""
    settings = dict(strong_augmentation=STILL, joint_forward=joint, contrast=dict(threshold=0.5))
    model, twin = ready(0.4, **settings), ready(0.4, **settings)
    losses = losses_of(model, toy_batch(2, 3))
    data = twin.data_preprocessor(toy_batch(2, 3), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    label = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])

    def both(member, joint):
        """Logits and embedding of the labelled and the unlabelled images."""

        def outputs(images):
            read = []
            handle = member.decode_head.conv_seg.register_forward_pre_hook(
                lambda m, args: read.append(args[0])
            )
            logits = member.decode_head(member.extract_feat(images))
            handle.remove()
            return logits, read[0]

        if joint:
            logits, z = outputs(torch.cat([x, weak]))
            return (logits[:2], z[:2]), (logits[2:], z[2:])
        return outputs(x), outputs(weak)

    def rows(z):
        return z.permute(0, 2, 3, 1).reshape(-1, 8)

    students = [both(student, joint) for student in twin.students]
    teachers = [up(both(teacher, joint)[1][0]).softmax(1).max(1) for teacher in twin.teachers]
    own = [on_weak[0].softmax(1).max(1) for _, on_weak in students]
    small = label[:, ::8, ::8].repeat_interleave(2, 1).repeat_interleave(2, 2).flatten()
    for i in range(2):
        (logits, z), (logits_u, z_u) = students[i]
        confidence, pseudo = teachers[1 - i]
        fraction = (confidence >= 0.4).float().mean()
        assert 0 < fraction < 1
        confidence, target = confidence[:, ::4, ::4].flatten(), pseudo[:, ::4, ::4].flatten()
        confident = confidence >= 0.5
        assert 0 < confident.sum() < confident.numel()
        bank, peer = (twin.contrast.bank.features[k] for k in (i, 1 - i))
        low = ~confident & (own[i].values < own[1 - i].values).flatten()
        want = {
            'decode.loss_ce': F.cross_entropy(up(logits), label),
            'loss_ct': fraction * F.cross_entropy(up(logits_u), pseudo),
            'loss_hc': 0.1
            * high_level_contrast(
                torch.cat([rows(z), rows(z_u)]),
                torch.cat([small, target]),
                bank,
                valid=torch.cat([small >= 0, confident]),
            ),
            'loss_lc': 0.1
            * low_level_contrast(
                rows(z_u),
                rows(students[1 - i][1][1]),
                own[1 - i].indices.flatten(),
                torch.cat([bank, peer], 1),
                valid=low,
            ),
            'confident_ratio': fraction,
        }
        for key, value in want.items():
            assert value > 0
            torch.testing.assert_close(losses[f'student{i}.{key}'], value, rtol=2e-5, atol=0)


def test_the_ratio_of_confident_pixels_is_a_weight_of_all():
    full, some = losses_of(ready(0.0), toy_batch()), losses_of(ready(0.6), toy_batch())
    assert full['student0.confident_ratio'] == 1
    ratio = some['student0.confident_ratio']
    assert 0 < ratio < 1
    torch.testing.assert_close(some['student0.loss_ct'], ratio * full['student0.loss_ct'])


def test_confident_pixels_alone_with_class_thresholds():
    """The threshold of a class is the mean confidence of its pixels, at most the common one."""
    settings = dict(select='pixel', class_thresholds=dict(), normalizer='valid')
    still = dict(strong_augmentation=STILL, joint_forward=False)
    model, twin = (ready_model(consistency=settings, **still) for _ in range(2))
    losses = losses_of(model, toy_batch())
    data = twin.data_preprocessor(toy_batch(), True)['inputs']
    thresholds = model.consistency.class_thresholds
    teachers = [
        up(twin.forward_member(f'teacher{i}', data['unlabeled'])[0].logits).softmax(1).max(1)
        for i in range(2)
    ]
    label = torch.stack([teacher.indices for teacher in teachers])
    confidence = torch.stack([teacher.values for teacher in teachers])
    for k in range(NUM_CLASSES):
        torch.testing.assert_close(thresholds.confidence[k], confidence[label == k].mean())
    for i in range(2):
        _, student = twin.forward_member(f'student{i}', data['labeled'], data['unlabeled'])
        limit = thresholds.confidence.clamp(max=0.95)[label[1 - i]]
        kept = confidence[1 - i] >= limit
        assert 0.2 < kept.float().mean() < 0.8
        values = F.cross_entropy(up(student.logits), label[1 - i], reduction='none')
        torch.testing.assert_close(losses[f'student{i}.loss_ct'], (values * kept).mean())
        torch.testing.assert_close(losses[f'student{i}.confident_ratio'], kept.float().mean())


# ---- who teaches whom, and on which view


@pytest.mark.parametrize('how', MIXES)
def test_students_learn_from_the_mean_of_their_teachers(how, monkeypatch):
    """Pseudo-labels are mixed as the images were; the contrast takes the most confident ones."""
    settings = dict(num_pairs=3, strong_augmentation=MIXES[how])
    model, twin = ready(0.0, **settings), ready(0.0, **settings)
    given = calls_of(model.contrast, 'forward', monkeypatch)
    losses = losses_of(model, toy_batch())
    data = twin.data_preprocessor(toy_batch(), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    teachers = [
        up(twin.forward_member(f'teacher{i}', weak)[0].logits).softmax(1).max(1) for i in range(3)
    ]
    steps = StrongAugmentation(MIXES[how])
    draws = [(7, 2), (7, 3)]
    view = steps(weak, teachers[1].indices, draws, twin.data_preprocessor, NUM_CLASSES)
    moved = [not torch.equal(view.apply_mix(t.indices), t.indices) for t in teachers]
    assert any(moved) == (how != 'none')
    target = given[0][0][3]
    for i, (a, b) in enumerate(((1, 2), (0, 2), (0, 1))):
        logits = up(twin.forward_member(f'student{i}', x, view.image)[1].logits)
        labels = [view.apply_mix(teachers[k].indices) for k in (a, b)]
        assert not torch.equal(*labels)
        want = (F.cross_entropy(logits, labels[0]) + F.cross_entropy(logits, labels[1])) / 2
        torch.testing.assert_close(losses[f'student{i}.loss_ct'], want)
        first = teachers[a].values >= teachers[b].values
        assert first.any() and not first.all()
        label = torch.where(first, teachers[a].indices, teachers[b].indices)
        confidence = torch.maximum(teachers[a].values, teachers[b].values)
        assert torch.equal(target.label[i], view.apply_mix(label))
        torch.testing.assert_close(target.confidence[i], view.apply_mix(confidence))


def test_the_most_confident_of_several_targets():
    label = torch.tensor([[[3, 1]], [[2, 2]]]).view(1, 2, 1, 1, 2)
    confidence = torch.tensor([[0.5, 0.9], [0.6, 0.2]]).view(1, 2, 1, 1, 2)
    best = most_confident(PseudoLabel(label, confidence))
    assert best.label.flatten().tolist() == [2, 1]
    torch.testing.assert_close(best.confidence.flatten(), torch.tensor([0.6, 0.9]))
    single = most_confident(PseudoLabel(label[:, :1], confidence[:, :1]))
    assert torch.equal(single.label, label[:, 0])


@pytest.mark.parametrize('supervision', ['cross', 'self'])
def test_pseudo_labels_come_from_the_named_teacher(supervision):
    def changed_by(teacher):
        settings = dict(supervision=supervision, strong_augmentation=STILL)
        plain, other = ready(0.0, **settings), ready(0.0, **settings)
        other.teachers[teacher].decode_head.conv_seg.weight.data.neg_()
        plain, other = losses_of(plain, toy_batch()), losses_of(other, toy_batch())
        keys = [f'student{i}.loss_ct' for i in range(2)]
        return [i for i, key in enumerate(keys) if plain[key] != other[key]]

    assert changed_by(0) == ([1] if supervision == 'cross' else [0])
    assert changed_by(1) == ([0] if supervision == 'cross' else [1])


@pytest.mark.parametrize('shared', [True, False])
def test_views_are_shared_or_each_its_own(shared, monkeypatch):
    model = ready(shared_view=shared, num_pairs=3)
    views = calls_of(model.strong_augmentation, 'several', monkeypatch)
    passes = calls_of(model, 'forward_members', monkeypatch)
    losses_of(model, toy_batch())
    assert [stream for args, _ in views for stream in args[5]] == [
        f'strong{i}' for i in range(1 if shared else 3)
    ]
    assert all(args[2] == [(7, 2), (7, 3)] for args, _ in views)
    given = {}
    for (names, *batches), _ in passes:
        given.update(dict.fromkeys(names, batches[-1]))
    images = [given[f'student{i}'] for i in range(3)]
    assert all(torch.equal(images[0], image) == shared for image in images[1:])
    if not shared:  # each is cut along the labels of its own teacher
        assert not torch.equal(views[0][0][1], views[1][0][1])
    assert {f'teacher{i}' for i in range(3)} < set(given)
