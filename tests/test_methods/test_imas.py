# Copyright (c) mmseg_ctt contributors.
"""iMAS: a step by hand, how easy images are, CutMix of easy with hard ones."""

import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import imas as reference
from toy import losses_of, prepared, ready_model, toy_batch, toy_model, toy_settings

from mmseg_ctt.methods.imas import EasyHardCutMix, ImageEasiness
from mmseg_ctt.methods.imas.functional import combined_easiness, easy_hard_partner, label_agreement
from mmseg_ctt.nn import PseudoLabel
from mmseg_ctt.nn.images import Images

KIND, K = 'IMAS', 4
DRAWS = [(3, i) for i in range(6)]


def labels(seed, padded=False):
    label = torch.randint(0, K - 1, (5, 6, 7), generator=torch.Generator().manual_seed(seed))
    label[0] = 0  # background alone
    if padded:
        label[:, :, 5:] = 255
    return label


@pytest.mark.parametrize('padded', [False, True])
@pytest.mark.parametrize('weighted,background', [(True, None), (True, 0), (False, None)])
def test_agreement(padded, weighted, background):
    first, second = labels(0, padded), labels(1, padded)
    got = label_agreement(first, second, K, weighted, background)
    for pair, result in zip(((first, second), (second, first)), got):
        want = [reference.agreement(a, b, K, weighted, background) for a, b in zip(*pair)]
        torch.testing.assert_close(result, torch.tensor(want))
    assert got[0][0] == (0 if background == 0 else 1)
    assert torch.equal(got[0], got[1]) == (not weighted)
    assert record(lambda: label_agreement(first, second, K, weighted, background)) == []


def test_combinations():
    """Two images; of the second no pixel is confident."""
    teacher, student = torch.tensor([0.8, 0.5]), torch.tensor([0.4, 0.5])
    ratios = torch.tensor([0.5, 0.0]), torch.tensor([0.25, 0.0])
    assert combined_easiness(teacher, student, *ratios)[0].item() == pytest.approx(0.25)
    mean = combined_easiness(teacher, student, *ratios, product=False)
    assert mean.tolist() == pytest.approx([(0.4 + 0.1) / 0.75, 0])


def test_easiness_of_images_with_padding():
    """Equal predictions: the easiness is the ratio of the confident pixels of content."""
    valid = (torch.arange(7) < 5).expand(5, 6, 7)
    confidence = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(2))
    pseudo = PseudoLabel.of(labels(0), confidence, valid)
    confident = torch.rand(5, 6, 7) < 0.5
    got = ImageEasiness(K)(pseudo, pseudo, (confident, confident))
    torch.testing.assert_close(got, confident[:, :, :5].float().mean((1, 2)))
    plain = PseudoLabel(labels(0), confidence)
    got = ImageEasiness(K)(plain, plain, (confident, confident))
    torch.testing.assert_close(got, confident.float().mean((1, 2)))


def test_the_easiest_is_the_partner_of_the_hardest():
    easiness = torch.tensor([0.3, 0.9, 0.1, 0.5, 0.7])
    assert easy_hard_partner(easiness).tolist() == [4, 2, 1, 3, 0]
    assert easy_hard_partner(easiness[:4]).tolist() == [3, 2, 1, 0]


def test_a_step_mixes_all_images_or_none():
    easiness, own = torch.linspace(0, 1, 6), torch.arange(6).view(-1, 1, 1)
    mixed = []
    for seed in range(60):
        draws = [(seed, i) for i in range(6)]
        source, mixes = EasyHardCutMix()(easiness, (20, 30), draws)
        other = source.source != own
        assert mixes.shape == () and (mixes or not other.any())
        assert not mixes or (other | (source.source == own)).all()
        assert set((source.source - (5 - own))[other].tolist()) <= {0}
        mixed.append(mixes.item())
    assert 15 < sum(mixed) < 45  # the mean easiness is 1/2
    for prob in (0.0, 1.0):
        assert EasyHardCutMix(prob=prob)(easiness, (20, 30), DRAWS)[1].item() == prob
    assert record(lambda: EasyHardCutMix()(easiness, (20, 30), DRAWS)) == []


def test_sides_of_the_boxes():
    easiness, draws = torch.linspace(0, 1, 200), [(1, i) for i in range(200)]
    own, areas = torch.arange(200).view(-1, 1, 1), []
    for sides in ((0.1, 0.1), (0.8, 0.8)):
        source, _ = EasyHardCutMix(prob=1.0, sides=sides)(easiness, (100, 100), draws)
        box = (source.source != own).flatten(1).float()
        assert box.sum(1).max() == (100 * sides[0]) ** 2
        areas.append(box.mean())
    assert areas[0] < 0.01 < 0.3 < areas[1]


def images_of(model, batch):
    data, names = prepared(model, batch), ('labeled', 'unlabeled')
    return (Images(data['inputs'][name], data['data_samples'][name]) for name in names)


@pytest.mark.parametrize('prob', [0.0, 1.0, None])
@pytest.mark.parametrize('intensity', ['blended', 'scaled'])
def test_a_step(prob, intensity):
    """Each view and each image written out."""
    cut_mix = dict() if prob is None else dict(prob=prob)
    settings = toy_settings(KIND, intensity=intensity)
    settings = {**settings, 'cut_mix': cut_mix, 'easiness': dict(background=0)}
    model, twin = (ready_model(KIND, **settings) for _ in range(2))
    losses = losses_of(model, toy_batch(2, 4))
    labeled, unlabeled = images_of(twin, toy_batch(2, 4))

    def up(logits):
        return F.interpolate(logits, unlabeled.size, mode='bilinear', align_corners=False)

    with torch.no_grad():
        (teacher,) = twin.forward_member('teacher0', unlabeled.image)
        (student,) = twin.forward_member('student0', unlabeled.image)
    confidence, label = up(teacher.logits).softmax(1).max(1)
    own_confidence, own_label = up(student.logits).softmax(1).max(1)
    easiness = []
    for i in range(4):
        by_teacher = reference.agreement(label[i], own_label[i], 4, True, 0)
        by_student = reference.agreement(own_label[i], label[i], 4, True, 0)
        ratios = [(c[i] >= 0.27).float().mean() for c in (confidence, own_confidence)]
        easiness.append((by_teacher * ratios[0] + by_student * ratios[1]) / 2)
    easiness = torch.stack(easiness)
    assert 0 < easiness.min() < easiness.max() < 1
    torch.testing.assert_close(losses['student0.easiness'], easiness.mean())
    if intensity == 'scaled':
        first = twin.strong_view(unlabeled, label, strength=easiness).image
    else:
        strong, e = twin.strong_view(unlabeled, label).image, easiness.view(-1, 1, 1, 1)
        first = e * strong + (1 - e) * unlabeled.image
    source, mixes = twin.cut_mix(easiness, unlabeled.size, unlabeled.draws)
    assert losses['student0.mixed_ratio'] == mixes.float() and mixes.item() in (
        prob,
        prob is None,
        0,
    )
    _, *outputs = twin.forward_member(
        'student0', labeled.image, first, source.apply_mix(unlabeled.image)
    )
    targets = [(label, confidence), tuple(map(source.apply_mix, (label, confidence)))]
    terms = []
    for output, (target, sure) in zip(outputs, targets):
        entropy = F.cross_entropy(up(output.logits), target, reduction='none') * (sure >= 0.27)
        terms.append((entropy.mean((1, 2)) * easiness).mean())
    want = (terms[0] + terms[1]) / 2 if mixes else terms[0]
    torch.testing.assert_close(losses['student0.loss_unsup'], want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('mode', ['train', 'eval'])
def test_the_student_labels_in_the_mode_of_the_teacher(mode):
    model, seen = ready_model(KIND, **toy_settings(KIND, teacher_mode=mode)), []
    head = model.students[0].decode_head
    head.register_forward_hook(lambda module, *_: seen.append(module.training))
    losses_of(model, toy_batch())
    assert seen == [mode == 'train', True] and model.students[0].training


def test_the_student_labels_in_eval_mode_beside_a_frozen_teacher():
    """Layers that are in eval mode stay in it."""
    model, seen = ready_model(KIND, **toy_settings(KIND, frozen_teachers=True)), []
    model.students[0].backbone.norm.eval()
    head = model.students[0].decode_head
    head.register_forward_hook(lambda module, *_: seen.append(module.training))
    losses_of(model, toy_batch())
    assert seen == [False, True] and not model.teachers[0].training
    assert model.students[0].training and not model.students[0].backbone.norm.training


def test_the_labelling_pass_keeps_layers_in_eval_mode():
    model = ready_model(KIND, **toy_settings(KIND, teacher_mode='train'))
    model.students[0].backbone.norm.eval()
    losses_of(model, toy_batch())
    assert not model.students[0].backbone.norm.training


def test_without_cut_mix_there_is_one_view():
    alone = ready_model(KIND, **{**toy_settings(KIND), 'cut_mix': False})
    losses = losses_of(alone, toy_batch(2, 1))
    assert losses['student0.mixed_ratio'] == 0 and losses['student0.loss_unsup'] > 0
    with pytest.raises(ValueError, match='model.cut_mix mixes the unlabelled images of a batch'):
        losses_of(ready_model(KIND, **toy_settings(KIND)), toy_batch(2, 1))


@pytest.mark.parametrize(
    'given,message',
    [
        (dict(intensity='weak'), "model.intensity must be one of .*got 'weak'"),
        (dict(easiness=dict(background=4)), 'model.easiness.background must be in'),
        (dict(easiness=dict(background=1, class_weighted=False)), 'needs class_weighted=True'),
        (dict(easiness=dict(combine='sum')), 'model.easiness.combine'),
        (dict(cut_mix=dict(prob=2)), 'model.cut_mix.prob must be in'),
        (dict(cut_mix=dict(sides=(0.5, 2))), 'model.cut_mix.sides'),
        (dict(strong_augmentation=[dict(type='ClassMixing')]), 'IMAS mixes by model.cut_mix'),
    ],
)
def test_wrong_settings(given, message):
    with pytest.raises(ValueError, match=message):
        toy_model(KIND, **{**toy_settings(KIND), **given})
