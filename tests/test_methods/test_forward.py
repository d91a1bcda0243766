# Copyright (c) mmseg_ctt contributors.
"""Passes of members, pseudo-labels and strong views, which all methods are made of."""

import pytest
import torch
import torch.nn.functional as F
from toy import NUM_CLASSES, ready_model, sample, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.nn.augmentation import View
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.member import forward_member


def image(batch=2, seed=0):
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def images(source='unlabeled', batch=2, seed=0, width=32):
    samples = [sample(source, 10 * seed + i) for i in range(batch)]
    for known in samples:
        known.set_metainfo(dict(img_shape=(32, width)))
    return Images(image(batch, seed), samples)


# ---- joint and separate passes


def test_joint_pass_shares_batch_statistics():
    first, second = image(2), 3 + 2 * image(3, seed=1)
    joint, apart = toy_model(), toy_model(joint_forward=False)
    got = joint.forward_member('student0', first, second)
    whole = forward_member(toy_model().students[0], torch.cat([first, second]))
    assert [len(output.logits) for output in got] == [2, 3]
    for output, part in zip(got, (slice(0, 2), slice(2, 5))):
        assert torch.equal(output.logits, whole.logits[part])
        assert torch.equal(output.embedding, whole.embedding[part])
        assert output.features == []  # no auxiliary head reads them
    fresh = toy_model().students[0]
    for output, batch in zip(apart.forward_member('student0', first, second), (first, second)):
        assert torch.equal(output.logits, forward_member(fresh, batch).logits)
    norms = [model.students[0].backbone.norm for model in (joint, apart)]
    assert [int(norm.num_batches_tracked) for norm in norms] == [1, 2]
    assert not torch.allclose(norms[0].running_var, norms[1].running_var)


def test_teachers_alone_may_take_their_batches_apart():
    first, second = image(2), 3 + 2 * image(3, seed=1)
    found = {}
    for joint in (True, False, 'students'):
        model = toy_model(joint_forward=joint)
        outputs = model.forward_members(['student0', 'teacher0'], first, second)
        found[joint] = [[output.logits for output in outputs[name]] for name in outputs]
    students, teachers = found['students']
    assert all(map(torch.equal, students, found[True][0]))
    assert all(map(torch.equal, teachers, found[False][1]))
    assert not torch.equal(found[True][1][0], found[False][1][0])


def test_features_and_embeddings_are_kept_where_they_are_read():
    plain = toy_model('FixMatchSeg').forward_member('student0', image())[0]
    assert plain.embedding is None and plain.features == []
    assert toy_model().forward_member('student0', image())[0].embedding.shape == (2, 8, 8, 8)
    assert (
        len(toy_model('GuidedMixNet', mode='paper').forward_member('student0', image())[0].features)
        == 2
    )
    auxiliary = dict(
        type='FCNHead', in_channels=8, in_index=0, channels=4, num_convs=1, num_classes=4
    )
    model = toy_model('FixMatchSeg', segmentor=toy_segmentor(auxiliary_head=auxiliary))
    assert len(model.forward_member('student0', image())[0].features) == 2


def test_every_student_takes_its_own_view_or_that_of_all():
    model, labeled = toy_model(joint_forward=False), images('labeled')
    views = [View(image(seed=3)), View(image(seed=4))]
    for given in (views, views[:1]):
        outputs = model.forward_students(labeled, given)
        for i, (on_labeled, on_view) in enumerate(outputs):
            twin = toy_model(joint_forward=False)
            want = twin.forward_member(f'student{i}', labeled.image, given[i % len(given)].image)
            assert torch.equal(on_labeled.logits, want[0].logits)
            assert torch.equal(on_view.logits, want[1].logits)


# ---- gradients


def gradients(name, **settings):
    """Whether the image and the member's weights get a gradient."""
    model, given = ready_model(), image().requires_grad_()
    logits = model.forward_member(name, given, **settings)[0].logits
    if logits.requires_grad:
        logits.square().sum().backward()
    weights = [p.grad is not None and p.grad.any() for p in model.member(name).parameters()]
    return given.grad is not None and bool(given.grad.any()), any(weights)


@pytest.mark.parametrize(
    'name,gradient,want',
    [
        ('student1', 'weights', (True, True)),
        ('teacher1', 'weights', (False, False)),
        ('student1', 'input', (True, False)),
        ('teacher1', 'input', (True, False)),
        ('student1', None, (False, False)),
        ('teacher1', None, (False, False)),
    ],
)
def test_where_the_gradient_goes(name, gradient, want):
    assert gradients(name, gradient=gradient) == want


def test_the_usual_gradient_is_that_of_the_weights():
    assert gradients('student0') == (True, True) and gradients('teacher0') == (False, False)


@pytest.mark.parametrize('gradient', ['weights', 'input', None])
def test_no_gradient_where_it_is_switched_off(gradient):
    with torch.no_grad():
        output = toy_model().forward_member('student0', image().requires_grad_(), gradient=gradient)
    assert not output[0].logits.requires_grad


def test_a_gradient_to_the_image_is_that_of_the_member():
    """As virtual adversarial training needs it, of the teacher too."""
    model, given = ready_model(), image().requires_grad_()
    model.forward_member('teacher0', given, gradient='input')[0].logits.sum().backward()
    twin, other = ready_model(), image().requires_grad_()
    forward_member(twin.teachers[0], other).logits.sum().backward()
    assert torch.equal(given.grad, other.grad)
    assert not any(p.requires_grad for p in model.teachers.parameters())
    assert all(p.requires_grad for p in model.students.parameters())


# ---- perturbed features


@pytest.mark.parametrize('name', ['student0', 'teacher0'])
def test_features_are_perturbed_before_the_head(name):
    model, calls = ready_model(joint_forward=True), []

    def perturb(features):
        calls.append([map_.shape[0] for map_ in features])
        return [0.5 * map_ for map_ in features]

    outputs = model.forward_member(name, image(2), image(3, 1), perturb=perturb)
    assert calls == [[5, 5]]  # all maps of the joint pass
    member = ready_model().member(name)
    features = member.extract_feat(torch.cat([image(2), image(3, 1)]))
    want = member.decode_head([0.5 * map_ for map_ in features])
    assert torch.equal(torch.cat([output.logits for output in outputs]), want)
    assert outputs[0].logits.requires_grad == (name == 'student0')


def test_a_perturbation_that_learns_gets_a_gradient():
    model, scale = ready_model(), torch.ones(1, requires_grad=True)
    settings = dict(perturb=lambda features: [scale * map_ for map_ in features], gradient='input')
    model.forward_member('teacher0', image(), **settings)[0].logits.sum().backward()
    assert scale.grad.abs() > 0
    assert all(p.grad is None for p in model.teachers.parameters())


# ---- pseudo-labels


@pytest.mark.parametrize('width', [32, 20])
def test_pseudo_labels_of_all_teaching_members(width):
    model, unlabeled = ready_model(), images(width=width)
    outputs = model.teacher_outputs(unlabeled=unlabeled, labeled=images('labeled'))
    assert list(outputs) == model.teaching_members == ['teacher0', 'teacher1']
    pseudo = model.pseudo_labels(outputs, unlabeled)
    for name, target in pseudo.items():
        up = F.interpolate(outputs[name][0].logits, (32, 32), mode='bilinear', align_corners=False)
        confidence, label = up.softmax(1).max(1)
        assert torch.equal(target.label[..., :width], label[..., :width])
        torch.testing.assert_close(target.confidence[..., :width], confidence[..., :width])
        assert (target.label[..., width:] == 255).all()
        assert not target.confidence[..., width:].any()
        assert (target.valid is None) == (width == 32)
        assert target.logits is None
        alone = model.pseudo_label(outputs[name][0].logits, unlabeled)
        assert torch.equal(alone.label, target.label)
        assert torch.equal(alone.confidence, target.confidence)
    assert not torch.equal(pseudo['teacher0'].label, pseudo['teacher1'].label)


def test_logits_of_a_pseudo_label_where_the_loss_reads_them():
    model = ready_model('MeanTeacher')
    outputs = model.teacher_outputs(unlabeled=images(), labeled=images('labeled', seed=1))
    (target,) = model.pseudo_labels(outputs, images()).values()
    up = model.upsampled(outputs['teacher0'][0].logits, (32, 32))
    assert torch.equal(target.logits, up) and not target.logits.requires_grad


def test_class_thresholds_learn_from_all_teaching_members():
    settings = dict(select='pixel', class_thresholds=dict())
    model, unlabeled = ready_model(consistency=settings), images(width=20)
    outputs = model.teacher_outputs(unlabeled=unlabeled, labeled=images('labeled'))
    pseudo = model.pseudo_labels(outputs, unlabeled)
    label = torch.stack([target.label for target in pseudo.values()])
    confidence = torch.stack([target.confidence for target in pseudo.values()])
    thresholds = model.consistency.class_thresholds
    for k in range(NUM_CLASSES):
        found = confidence[label == k]
        want = found.mean() if found.numel() else torch.zeros(())
        torch.testing.assert_close(thresholds.confidence[k], want)
    assert thresholds.updates.tolist() == [int((label == k).any()) for k in range(NUM_CLASSES)]


# ---- strong views


def test_views_of_other_numbers_have_other_random_numbers():
    model, unlabeled = toy_model(), images()
    label = model.data_preprocessor(toy_batch(), True)['data_samples']['labeled']
    label = torch.cat([known.gt_sem_seg.data for known in label])
    first, again, other = (model.strong_view(unlabeled, label, index) for index in (0, 0, 1))
    assert torch.equal(first.image, again.image) and not torch.equal(first.image, other.image)
    steps = model.strong_augmentation
    draws = [(7, 0), (7, 1)]
    for index, view in ((0, first), (1, other)):
        given = unlabeled.image, label, draws, model.data_preprocessor, NUM_CLASSES
        assert torch.equal(view.image, steps(*given, f'strong{index}').image)


def test_strength_of_each_image():
    model, unlabeled = ready_model('MeanTeacher'), images()
    steps = [dict(type='ColorJitter', prob=1)]
    model = ready_model('MeanTeacher', strong_augmentation=steps)
    label, strength = torch.zeros(2, 32, 32, dtype=torch.long), torch.tensor([0.0, 1.0])
    view = model.strong_view(unlabeled, label, strength=strength)
    torch.testing.assert_close(view.image[0].clamp(-1, 1), unlabeled.image[0].clamp(-1, 1))
    assert not torch.allclose(view.image[1], unlabeled.image[1], atol=1e-2)
