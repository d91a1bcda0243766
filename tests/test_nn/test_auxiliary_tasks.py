# Copyright (c) mmseg_ctt contributors.
"""Auxiliary tasks of any method: terms, passes, settings; and the rotation task."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from no_sync import record
from toy import (
    losses_of,
    prepared,
    ready_model,
    total_of,
    toy_batch,
    toy_model,
    toy_segmentor,
    toy_settings,
)

from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.auxiliary_tasks import AuxiliaryTask, ViewTask, registered_tasks
from mmseg_ctt.nn.images import Images

ROTATION = dict(type='RotationTask')
KINDS = sorted(registered_methods())
METHODS = pytest.mark.parametrize('kind', KINDS)
# methods that learn features alone have no other terms, and take no empty list of tasks
METHODS_WITH_TERMS = pytest.mark.parametrize(
    'kind', [kind for kind in KINDS if registered_methods()[kind].trains_heads]
)


def model_of(*tasks, kind='S4L', **settings):
    return toy_model(kind, **toy_settings(kind, auxiliary_tasks=list(tasks), **settings))


def images_of(model, batch=None):
    data = prepared(model, batch)
    return {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources
    }


def seeded_losses(model):
    """Losses of a step; some methods draw from the global generator, as dropout does."""
    torch.manual_seed(3)
    return losses_of(model, toy_batch())


def task_of(model):
    return model.auxiliary_tasks.of(0)[0]


def refused(*tasks, error=ValueError, **settings):
    with pytest.raises(error) as caught:
        model_of(*tasks, **settings)
    sentence = str(caught.value)
    assert sentence.startswith('model.auxiliary_tasks') and '\n' not in sentence
    return sentence


# ---- beside any method


@METHODS_WITH_TERMS
def test_a_task_stands_beside_the_terms_of_every_method(kind):
    """The method's own terms are the same; every student has the task; gradients reach it."""
    bare = ready_model(kind, auxiliary_tasks=[])
    model = ready_model(kind, auxiliary_tasks=[dict(ROTATION, name='turned', weight=0.5)])
    model.load_state_dict(bare.state_dict(), strict=False)
    plain, losses = seeded_losses(bare), seeded_losses(model)
    names = [f'student{i}' for i in range(len(model.students))]
    terms = ('loss_turned', 'turned_accuracy', 'turned_valid_ratio')
    added = {f'{name}.{term}' for name in names for term in terms}
    assert set(losses) - set(plain) == added
    for key in plain:
        torch.testing.assert_close(losses[key], plain[key], msg=key)
    total_of(losses, model).backward()
    for name, weight in model.auxiliary_tasks.named_parameters():
        assert torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name
    assert all('auxiliary' not in key for key in model.students.state_dict())


@METHODS
def test_a_name_that_the_method_uses_is_refused(kind):
    terms = list(registered_methods()[kind].default_loss_weights)
    for term in terms[:1]:
        assert f'has a term {term} already' in refused(dict(ROTATION, name=term), kind=kind)


def test_two_tasks_of_a_type_need_two_names():
    assert 'two tasks of the name rotation' in refused(ROTATION, ROTATION)
    model = model_of(ROTATION, dict(ROTATION, name='again', sources=['unlabeled']))
    assert 'student0.loss_again' in losses_of(model, toy_batch())


@pytest.mark.parametrize(
    'given,error,words',
    [
        (dict(type='FCNHead'), ValueError, 'is no auxiliary task; known are'),
        (dict(type='NoSuchTask'), ValueError, 'is no auxiliary task; known are'),
        (
            dict(weight=1),
            TypeError,
            'must be a name, such as "RotationTask", or a dict with a type',
        ),
        (3, TypeError, 'must be a name, such as "RotationTask", or a dict with a type'),
        ('NoSuchTask', ValueError, 'is no auxiliary task; known are'),
        (dict(ROTATION, turns=4), ValueError, "unknown settings ['turns']; known are"),
        (dict(ROTATION, weight=-1), ValueError, 'RotationTask.weight must be at least 0'),
        (dict(ROTATION, weight='1'), TypeError, 'RotationTask.weight must be a number'),
        (dict(ROTATION, sources='labeled'), TypeError, 'must be a list of names'),
        (dict(ROTATION, sources=['tagged']), ValueError, 'no images of the source tagged'),
        (dict(ROTATION, sources=1), TypeError, 'must be a list of names'),
        (dict(ROTATION, sources=['labeled', 'labeled']), ValueError, 'names a source twice'),
        (dict(ROTATION, name=1), TypeError, 'RotationTask.name must be a text'),
        (dict(ROTATION, name=''), ValueError, 'RotationTask.name'),
        (dict(ROTATION, name='a.b'), ValueError, 'use letters, digits'),  # would have no weight
        (dict(ROTATION, name='loss_b'), ValueError, 'without the word loss'),  # adds up accuracies
        (
            dict(ROTATION, joint_forward=True, update_statistics=0),
            ValueError,
            'a joint pass updates them',
        ),
        (dict(ROTATION, rotations=4), ValueError, 'RotationTask.rotations must be one of'),
        (dict(ROTATION, crop_size=0), ValueError, 'RotationTask.crop_size must be at least 1'),
        (dict(ROTATION, joint_forward='all'), ValueError, 'RotationTask.joint_forward must be'),
        (
            dict(ROTATION, supervise=1, sources=['unlabeled']),
            ValueError,
            'RotationTask.supervise needs images of the source labeled',
        ),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(given, error, words):
    assert words in refused(given, error=error)


def test_the_list_must_be_a_list():
    with pytest.raises(TypeError, match='model.auxiliary_tasks must be a list'):
        toy_model('S4L', auxiliary_tasks=ROTATION)


def test_usual_weights():
    """Small beside the losses of a method, 1 where a student learns by tasks alone."""
    assert model_of('RotationTask').weights == {'sup': 1, 'rotation': 0.1}
    assert model_of('RotationTask', kind='SelfSupervisedPretraining').weights == {'rotation': 1}
    assert model_of(dict(ROTATION, weight=0)).weights['rotation'] == 0


def test_a_name_alone_is_a_task():
    """It is all that a list on a command line can hold."""
    assert 'student0.loss_rotation' in losses_of(model_of('RotationTask'), toy_batch())


def test_every_task_is_registered_with_its_name():
    tasks = registered_tasks()
    assert 'RotationTask' in tasks
    names = [kind.default_name for kind in tasks.values()]
    assert len(names) == len(set(names))


def test_a_name_that_another_value_of_the_log_has():
    model = model_of(ROTATION, dict(ROTATION, name='rotation_accuracy'))
    with pytest.raises(ValueError, match='student0.rotation_accuracy of a task is the name of'):
        losses_of(model, toy_batch())
    model = ready_model('CrossTeacherTraining', auxiliary_tasks=[])
    logged = [key for key in losses_of(model, toy_batch()) if 'loss' not in key]
    name = next(key for key in logged if key.startswith('student0.')).partition('.')[2]
    model = ready_model('CrossTeacherTraining', auxiliary_tasks=[dict(ROTATION, name=name)])
    with pytest.raises(ValueError, match='give the task another name'):
        losses_of(model, toy_batch())


def test_a_task_of_ones_own():
    @MODELS.register_module(name='BrightTask', force=True)
    class BrightTask(AuxiliaryTask):
        default_name = 'bright'

        def forward(self, student, images):
            return {'bright': student.output('unlabeled').logits.float().square().mean()}

    try:
        losses = losses_of(model_of(dict(type='BrightTask', weight=0)), toy_batch())
        assert losses['student0.loss_bright'] == 0
    finally:
        MODELS.module_dict.pop('BrightTask')


def test_a_task_without_its_methods_cannot_be_built():
    for base, missing in ((AuxiliaryTask, 'forward'), (ViewTask, 'make_views')):
        unfinished = type('Unfinished', (base,), dict(default_name='unfinished'))
        with pytest.raises(TypeError, match=missing):
            unfinished()


@pytest.mark.parametrize('kind', ['RotationTask', 'ExemplarTask', 'PatchMatchingTask'])
def test_a_view_task_called_alone_gives_the_terms_of_the_step(kind):
    settings = dict(patch_size=16, pool=2) if kind == 'PatchMatchingTask' else {}
    model = model_of(dict(type=kind, **settings))
    images, task = images_of(model), task_of(model)
    with model.auxiliary_tasks.step(model.students, images, model.data_preprocessor) as step:
        terms = step.terms()
    alone = task(step.passes[0], {source: images[source] for source in task.sources})
    assert {f'student0.{name}' for name in alone} == set(terms)
    for name, value in alone.items():
        torch.testing.assert_close(value, terms[f'student0.{name}'])


def test_unchanged_images_have_one_pass_a_step(monkeypatch):
    model = model_of(ROTATION)
    images, passes = images_of(model), []
    with model.auxiliary_tasks.step(model.students, images, model.data_preprocessor) as step:
        pass
    monkeypatch.setattr(
        model.students[0].backbone, 'forward', lambda x: passes.append(1) or (x, x[:, :1] * 2)
    )
    monkeypatch.setattr(model.students[0].decode_head, 'forward', lambda maps: maps[1])
    first, second = (step.passes[0].output('unlabeled') for _ in range(2))
    assert first is second and len(passes) == 1


# ---- joint pass


def counter(module):
    """A list that grows by each pass of a module."""
    passes = []
    module.register_forward_hook(lambda *args: passes.append(1))
    return passes


@pytest.mark.parametrize('kind', ['S4L', 'CrossTeacherTraining', 'MeanTeacher'])
def test_a_joint_pass_normalises_all_images_alike(kind):
    """Views are in the pass of the labelled images: as many passes of a backbone as without."""
    counts = {}
    for joint in (None, False, True):
        tasks = [] if joint is None else [dict(ROTATION, joint_forward=joint)]
        model = ready_model(kind, auxiliary_tasks=tasks)
        seen = counter(model.students[0].backbone)
        losses = losses_of(model, toy_batch())
        total_of(losses, model).backward()
        counts[joint] = len(seen)
    assert counts[True] == counts[None] == counts[False] - 1


def test_joint_features_are_those_of_the_concatenated_batch():
    model = model_of(dict(ROTATION, joint_forward=True))
    images, student = images_of(model), model.students[0]
    with model.auxiliary_tasks.step(model.students, images, model.data_preprocessor) as step:
        own = student.extract_feat(images['labeled'].image)
    view = step.views[0].image
    whole = student.extract_feat(torch.cat([images['labeled'].image, view]))
    joint = step._joint_features(0)[0]
    for level, part, every in zip(own, joint, whole):
        torch.testing.assert_close(torch.cat([level, part]), every)


def crop_rows(batch, i, rows):
    """Keep the first rows of an image of a batch."""
    batch['inputs'][i] = batch['inputs'][i][:, :rows]
    made = batch['data_samples'][i]
    made.set_metainfo(dict(img_shape=(rows, 32), ori_shape=(rows, 32)))
    if 'gt_sem_seg' in made:
        label = made.gt_sem_seg.data[:, :rows]
        del made.gt_sem_seg
        made.gt_sem_seg = PixelData(data=label)


def test_a_joint_pass_needs_square_images():
    model = model_of(dict(ROTATION, joint_forward=True))
    batch = toy_batch()
    for i in range(4):
        crop_rows(batch, i, 24)
    with pytest.raises(ValueError, match='joint_forward=True joins views of .* square training'):
        losses_of(model, batch)
    assert losses_of(model_of(ROTATION), batch)['student0.loss_rotation'] > 0  # apart: no matter


@pytest.mark.parametrize('crop,view', [(None, 16), (16, None)])
def test_joint_views_of_two_tasks_need_one_size(crop, view):
    tasks = [
        dict(ROTATION, joint_forward=True, crop_size=crop),
        dict(type='ExemplarTask', views=2, view_size=view, joint_forward=True),
    ]
    words = 'ExemplarTask.joint_forward=True: views of .* cannot join those of .* of RotationTask'
    with pytest.raises(ValueError, match=f'^model.auxiliary_tasks: {words}'):
        losses_of(model_of(*tasks), toy_batch())
    tasks[1]['joint_forward'] = False
    tasks[0]['crop_size'] = None
    assert losses_of(model_of(*tasks), toy_batch())['student0.loss_exemplar'] > 0


def statistics(model):
    return {k: v.clone() for k, v in model.students.named_buffers() if 'running' in k}


@pytest.mark.parametrize('update', [None, True])
@pytest.mark.parametrize('supervise', [0, 1.0])
def test_views_leave_the_averages_of_batch_norm_alone(update, supervise):
    """The network predicts by the statistics of images as they are."""
    found = []
    for tasks in ([], [dict(ROTATION, supervise=supervise, update_statistics=update)]):
        model = model_of(*tasks)
        before = statistics(model)
        losses_of(model, toy_batch())
        found.append(statistics(model))
        assert not all(torch.equal(before[key], found[-1][key]) for key in before)
    same = [torch.equal(found[0][key], value) for key, value in found[1].items()]
    assert all(same) if update is None else not any(same[:2])


def test_a_joint_pass_updates_the_averages():
    task = dict(ROTATION, joint_forward=True, update_statistics=False)
    assert 'a joint pass updates them' in refused(task)


# ---- rotation


def test_views_are_the_images_turned_as_the_target_says():
    model = model_of(dict(ROTATION, rotations='all', supervise=1.0))
    images = images_of(model)
    views = task_of(model).make_views(images, model.data_preprocessor)
    assert views.sizes == (8, 8) and views.image.shape == (16, 3, 32, 32)
    for i, turns in enumerate(views.target.turns.tolist()):
        source = images['labeled' if i < 8 else 'unlabeled']
        want = torch.rot90(source.image[i % 2], turns, (1, 2))
        assert torch.equal(views.image[i], want)
        if i < 8:
            label = torch.rot90(source.labels[i % 2], turns, (0, 1))
            assert torch.equal(views.target.label[i], label)
    for image in range(2):  # every image in all turns
        assert sorted(views.target.turns[:8][image::2].tolist()) == [0, 1, 2, 3]


def test_one_random_turn_belongs_to_the_sample():
    model = model_of(ROTATION)
    views = [
        task_of(model).make_views(images_of(model, batch), model.data_preprocessor)
        for batch in (toy_batch(4, 4), toy_batch(4, 4, order=[3, 2, 1, 0, 7, 6, 5, 4]))
    ]
    first, second = (v.target.turns for v in views)
    assert torch.equal(first.view(2, 4).flip(1).flatten(), second)
    assert len(set(first.tolist())) > 1


def test_crops_with_padding_do_not_count():
    """Padding lies at the right and below, and would tell the turn."""
    model = model_of(dict(ROTATION, crop_size=24))
    batch = toy_batch()
    crop_rows(batch, 0, 20)  # padded to 32
    model.data_preprocessor.size = (32, 32)
    task, images = task_of(model), images_of(model, batch)
    views = task.make_views(images, model.data_preprocessor)
    assert views.target.weight.tolist() == [0, 1, 1, 1]
    student = model.auxiliary_tasks.step(model.students, images, model.data_preprocessor)
    with student as step:
        features = step.passes[0].features(views.image)
    terms = task.view_terms(features, views, step.passes[0])
    scores = task.classifier(features[1].mean((2, 3)))
    values = torch.nn.functional.cross_entropy(scores, views.target.turns, reduction='none')
    torch.testing.assert_close(terms['rotation'], (values[1] + values[2:].mean()) / 2)


def test_a_crop_larger_than_the_images_is_refused():
    with pytest.raises(ValueError, match='RotationTask.crop_size=33 is larger than the training'):
        losses_of(model_of(dict(ROTATION, crop_size=33)), toy_batch())


def test_masks_are_turned_along():
    """The loss on turned copies is that of the student on turned images and masks."""
    model = model_of(dict(ROTATION, rotations='all', supervise=0.5)).eval()
    losses = losses_of(model, toy_batch())
    images = images_of(model)['labeled']
    turned = [torch.rot90(images.image, k, (2, 3)) for k in range(4)]
    labels = [torch.rot90(images.labels, k, (1, 2)) for k in range(4)]
    values = []
    for image, label in zip(turned, labels):
        logits = model.students[0].encode_decode(image, [dict(img_shape=(32, 32))] * 2)
        values.append(torch.nn.functional.cross_entropy(logits, label))
    want = 0.5 * torch.stack(values).mean()
    torch.testing.assert_close(losses['student0.loss_rotation_supervised'], want)


def test_a_step_does_not_wait_for_the_device():
    model = model_of(dict(ROTATION, rotations='all', supervise=1.0))
    data = prepared(model)
    assert record(lambda: model(**data, mode='loss')) == []


def test_a_head_that_reads_several_maps():
    head = dict(
        toy_segmentor()['decode_head'],
        in_channels=[8, 8],
        in_index=[0, 1],
        input_transform='resize_concat',
    )
    model = model_of(ROTATION, segmentor=toy_segmentor(decode_head=head))
    assert losses_of(model, toy_batch())['student0.loss_rotation'] > 0
