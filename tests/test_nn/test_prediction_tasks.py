# Copyright (c) mmseg_ctt contributors.
"""Virtual adversarial training and entropy minimisation beside a method."""

import numpy as np
import pytest
import torch
from no_sync import record
from reference import distances as reference
from toy import losses_of, of_channels, prepared, total_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.functional import pixel_consistency, two_class_logits
from mmseg_ctt.nn.auxiliary_tasks import AdversarialTask, EntropyTask, StudentPass
from mmseg_ctt.nn.auxiliary_tasks.predictions import class_logits
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.member import PixelOutput

VAT, ENTROPY = dict(type='AdversarialTask'), dict(type='EntropyTask')


def model_of(*tasks, kind='S4L', **settings):
    return toy_model(kind, auxiliary_tasks=list(tasks), **settings)


def padded_batch(rows=20):
    """The second unlabelled image is shorter than the others."""
    batch = toy_batch()
    batch['inputs'][3] = batch['inputs'][3][:, :rows]
    batch['data_samples'][3].set_metainfo(dict(img_shape=(rows, 32), ori_shape=(rows, 32)))
    return batch


def student_of(model, batch=None):
    model.data_preprocessor.size = (32, 32)
    data = prepared(model, batch)
    images = {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources
    }
    return StudentPass(model.students[0], images, model.data_preprocessor)


def sharp(model, std=3.0):
    """Predictions that differ between pixels; an untrained head gives almost equal ones."""
    torch.manual_seed(1)
    model.students[0].decode_head.conv_seg.weight.data.normal_(std=std)
    return model


def task_of(model, i=0):
    return model.auxiliary_tasks.of(0)[i]


def forward(task, student):
    return task(student, {source: student.images[source] for source in task.sources})


def valid_of(batch, height=8, width=8):
    """``(2, h, w)`` bool of the unlabelled images at stride 4."""
    rows = [made.metainfo['img_shape'][0] // 4 for made in batch['data_samples'][2:]]
    return np.stack([np.arange(height)[:, None] < r for r in rows]).repeat(width, 2)


# ---- entropy


@pytest.mark.parametrize('padded', [False, True])
def test_entropy_equals_loops(padded):
    model = sharp(model_of(ENTROPY))
    batch = padded_batch() if padded else toy_batch()
    student = student_of(model, batch)
    got = forward(task_of(model), student)['entropy']
    logits = student.output('unlabeled').logits.detach().double().numpy()
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    values = -(probability * np.log(probability)).sum(1)
    valid = valid_of(batch)
    assert valid.all() != padded
    assert got.item() == pytest.approx(values[valid].mean(), rel=1e-5)


# ---- adversarial


@pytest.mark.parametrize('divergence', ['released', 'paper'])
@pytest.mark.parametrize('padded', [False, True])
def test_adversarial_loss_equals_loops(divergence, padded):
    """The order of the divergence; padding does not count."""
    model = sharp(model_of(dict(VAT, divergence=divergence)))
    batch = padded_batch() if padded else toy_batch()
    student = student_of(model, batch)
    task, images = task_of(model), student.images['unlabeled']
    got = forward(task, student)['vat'].item()
    clean = student.output('unlabeled').logits.detach()
    valid = torch.from_numpy(valid_of(batch)) if padded else None
    change = task.change(student, 'unlabeled', images, clean.softmax(1), valid)
    changed = student.repeat('unlabeled', images.image + change).logits.detach()
    kind = dict(released='reverse_kl', paper='kl')[divergence]
    values = reference.distances(kind, changed.numpy(), clean.double().softmax(1).numpy())
    assert got == pytest.approx(values[valid_of(batch)].mean(), rel=1e-3)
    other = reference.distances(
        dict(released='kl', paper='reverse_kl')[divergence],
        changed.numpy(),
        clean.double().softmax(1).numpy(),
    )
    assert got != pytest.approx(other[valid_of(batch)].mean(), rel=1e-3)


@pytest.mark.parametrize('setting', [dict(), dict(radius=0.1), dict(eps=3.0)])
def test_length_of_the_change(setting):
    """A root mean square over the values that are no padding, or a length."""
    model = sharp(model_of(dict(VAT, **setting)))
    student = student_of(model, padded_batch())
    images = student.images['unlabeled']
    target = student.output('unlabeled').logits.detach().softmax(1)
    change = task_of(model).change(student, 'unlabeled', images, target)
    assert not change[1, :, 20:].any() and change[0, :, 20:].any()
    for found, rows in zip(change, (32, 20)):
        inside = found[:, :rows]
        if 'eps' in setting:
            assert inside.norm().item() == pytest.approx(3.0, rel=1e-4)
        else:
            want = setting.get('radius', 0.23)
            assert inside.square().mean().sqrt().item() == pytest.approx(want, rel=1e-4)


def test_the_default_is_the_release_in_normalised_units():
    """40 for 224x224x3 values in [-1, 1], of images with a standard deviation of 57 levels."""
    a_value = 40 / np.sqrt(224 * 224 * 3)
    assert a_value == pytest.approx(0.103, abs=5e-4)
    assert AdversarialTask().radius == pytest.approx(a_value * 127.5 / 57, abs=5e-3)
    assert 32 / np.sqrt(224 * 224 * 3) * 127.5 / 57 == pytest.approx(0.18, abs=5e-3)


@pytest.mark.parametrize('setting', [dict(), dict(num_iterations=2), dict(xi=0.01)])
def test_the_change_raises_the_distance_more_than_noise(setting):
    model = sharp(model_of(dict(VAT, radius=0.05, **setting)))
    student = student_of(model)
    image = student.images['unlabeled'].image
    target = student.output('unlabeled').logits.detach().softmax(1)
    change = task_of(model).change(student, 'unlabeled', student.images['unlabeled'], target)

    def distance(step):
        logits = student.repeat('unlabeled', image + step).logits
        return pixel_consistency(logits, target, 'reverse_kl').sum((1, 2)).detach()

    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    length = change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    noise = noise / noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1) * length
    assert (distance(change) > 3 * distance(noise)).all()


def test_dropout_is_the_same_in_all_passes():
    """Else a change of no size at all would cost something."""
    model = sharp(toy_model('S4L', dropout=0.5, auxiliary_tasks=[dict(VAT, eps=1e-6)]))
    assert forward(task_of(model), student_of(model))['vat'].abs() < 1e-6


def test_averages_of_batch_normalisation_move_with_the_clean_pass_alone():
    def buffers(*tasks):
        model = model_of(*tasks)
        losses_of(model, toy_batch())
        return dict(model.named_buffers())

    with_vat, without = buffers(VAT, ENTROPY), buffers(ENTROPY)
    assert set(with_vat) == set(without)
    moved = buffers()
    assert all(torch.equal(with_vat[key], without[key]) for key in without)
    assert not all(torch.equal(moved[key], without[key]) for key in moved)


def test_tasks_share_the_clean_pass():
    model, passes = model_of(VAT, ENTROPY), []
    model.students[0].backbone.register_forward_hook(lambda *_: passes.append(1))
    losses_of(model, toy_batch())
    assert len(passes) == 4  # the step's own; the clean one; direction; changed


def test_gradients_reach_the_student_and_its_weights_stay_trainable():
    for task in (VAT, ENTROPY):
        model = sharp(model_of(dict(task, weight=2.0), loss_weights=dict(sup=0.0)))
        total_of(losses_of(model, toy_batch()), model).backward()
        for name, weight in model.students[0].named_parameters():
            assert weight.requires_grad and torch.isfinite(weight.grad).all()
            # a bias before a batch normalisation has no effect
            assert weight.grad.any() or name.endswith('bias'), name
        assert all(weight.grad is None for weight in model.teachers.parameters())


@pytest.mark.parametrize('task', [VAT, ENTROPY])
def test_the_order_of_the_batch_does_not_matter(task):
    """Random numbers belong to the images."""
    losses = []
    for order in (None, [3, 1, 0, 2]):
        torch.manual_seed(0 if order else 9)
        model = sharp(model_of(task))
        losses.append(losses_of(model, toy_batch(order=order)))
    for key in losses[0]:
        torch.testing.assert_close(losses[0][key], losses[1][key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('kind', ['CrossTeacherTraining', 'MeanTeacher', 'CrossPseudoSupervision'])
def test_beside_other_methods(kind):
    model = model_of(VAT, ENTROPY, kind=kind)
    losses = losses_of(model, toy_batch())
    for i in range(len(model.students)):
        assert losses[f'student{i}.loss_vat'] > 0 and losses[f'student{i}.loss_entropy'] > 0


def test_sources():
    unlabeled = model_of(VAT, ENTROPY)
    assert all(task.sources == ('unlabeled',) for task in unlabeled.auxiliary_tasks.of(0))
    both = model_of(dict(ENTROPY, sources=['labeled', 'unlabeled']))
    student = student_of(both)
    values = []
    for source in ('labeled', 'unlabeled'):
        task = EntropyTask(sources=[source])
        task.use_sources(both.sources)
        values.append(forward(task, student)['entropy'].item())
    got = forward(task_of(both), student)['entropy'].item()
    assert got == pytest.approx(sum(values) / 2, rel=1e-5)
    task = AdversarialTask()
    task.use_sources(('tagged',))
    assert task.sources == ('tagged',)


def test_a_head_of_one_channel():
    logits = torch.randn(2, 1, 4, 4)
    got = class_logits(PixelOutput(logits, None, []))
    assert torch.equal(got, two_class_logits(logits)) and got.shape[1] == 2


def test_other_channels():
    model = model_of(VAT, ENTROPY, segmentor=of_channels(toy_segmentor(), 5))
    losses = losses_of(model, toy_batch(channels=5))
    assert losses['student0.loss_vat'] > 0


# ---- families


def test_half_precision():
    """A change is found that points where that of float32 points, and losses are float32."""
    model = sharp(model_of(VAT, ENTROPY))
    student = student_of(model)
    images = student.images['unlabeled']
    target = student.output('unlabeled').logits.detach().softmax(1)
    exact = task_of(model).change(student, 'unlabeled', images, target)
    with torch.autocast('cpu', torch.bfloat16):
        half = student_of(model)
        target = half.output('unlabeled').logits.detach().float().softmax(1)
        got = task_of(model).change(half, 'unlabeled', images, target)
        losses = [forward(task_of(model, i), half) for i in range(2)]
    assert torch.cosine_similarity(got.flatten(1), exact.flatten(1)).min() > 0.7
    assert losses[0]['vat'].dtype == losses[1]['entropy'].dtype == got.dtype == torch.float32
    sum(sum(found.values()) for found in losses).backward()


def test_nothing_waits_for_the_device():
    model = model_of(VAT, ENTROPY)
    model.data_preprocessor.size = (32, 32)
    for batch in (toy_batch(), padded_batch()):
        data = prepared(model, batch)
        assert record(lambda: model(**data, mode='loss')) == []  # noqa: B023


# ---- settings


@pytest.mark.parametrize(
    'setting,error,words',
    [
        (dict(radius=-0.1), ValueError, 'AdversarialTask.radius must be above 0'),
        (dict(radius=0), ValueError, 'AdversarialTask.radius must be above 0'),
        (dict(eps='1'), TypeError, 'AdversarialTask.eps must be a number'),
        (dict(xi=0.0), ValueError, 'AdversarialTask.xi must be above 0'),
        (dict(eps=40, radius=0.1), ValueError, 'AdversarialTask.eps and radius are two lengths'),
        (dict(divergence='kl'), ValueError, 'AdversarialTask.divergence must be one of'),
        (dict(num_iterations=0), ValueError, 'AdversarialTask.num_iterations must be at least 1'),
        (dict(sources=['tagged']), ValueError, 'AdversarialTask.sources: the method has no images'),
    ],
)
def test_wrong_settings(setting, error, words):
    with pytest.raises(error) as caught:
        model_of(dict(VAT, **setting))
    assert str(caught.value).startswith(f'model.auxiliary_tasks: {words}')
