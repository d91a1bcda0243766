# Copyright (c) mmseg_ctt contributors.
"""Methods that learn features alone: settings, steps, results of tasks on an image."""

import pytest
import torch
from mmengine.structures import PixelData
from toy import (
    SIDE,
    losses_of,
    total_of,
    toy_batch,
    toy_model,
    toy_segmentor,
    toy_settings,
    whole_segmentor,
)

from mmseg_ctt.engine.score_checks import reads_masks
from mmseg_ctt.methods import FeatureLearning, SelfSupervisedPretraining, registered_methods
from mmseg_ctt.nn.auxiliary_tasks import PatchMatchingTask, registered_tasks

SELF, MATCH = 'SelfSupervisedPretraining', 'MixAndMatchTuning'
ROTATION = dict(type='RotationTask')
KINDS = [
    kind for kind, method in registered_methods().items() if issubclass(method, FeatureLearning)
]
EVERY = pytest.mark.parametrize('kind', KINDS)


def model_of(kind=SELF, **changes):
    return toy_model(kind, **toy_settings(kind, **changes))


def refused(kind=SELF, **changes):
    with pytest.raises(ValueError) as caught:
        model_of(kind, **changes)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_there_are_several():
    assert {SELF, MATCH} <= set(KINDS)


@EVERY
def test_settings_that_would_be_unused(kind):
    assert 'model.auxiliary_tasks is empty' in refused(kind, auxiliary_tasks=[])
    joint = [dict(ROTATION, joint_forward=True)]
    assert 'RotationTask.joint_forward=True' in refused(kind, auxiliary_tasks=joint)
    assert 'model.joint_forward' in refused(kind, joint_forward=True)
    assert 'has unknown terms' in refused(kind, loss_weights=dict(sup=1))


def test_a_task_that_needs_a_decode_head():
    supervised = dict(ROTATION, supervise=0.5)
    for task in (supervised, dict(type='EntropyTask'), dict(type='AdversarialTask')):
        sentence = refused(MATCH, auxiliary_tasks=[task])
        assert task['type'] in sentence and 'does not train the decode head' in sentence


@EVERY
def test_a_frozen_backbone_has_nothing_to_learn(kind):
    norm = dict(type='BN')
    backbone = dict(type='ResNetV1c', depth=18, norm_cfg=norm, frozen_stages=4)
    segmentor = dict(toy_segmentor(), backbone=backbone)
    assert 'model.segmentor.backbone is frozen' in refused(kind, segmentor=segmentor)


def test_whether_validation_reads_masks():
    """A type with a scope, or the class itself; what is no task is refused by the model."""
    for kind in ('PatchMatchingTask', 'mmseg.PatchMatchingTask', PatchMatchingTask):
        for task in (dict(type=kind), kind):
            tasks = [ROTATION, task]
            assert SelfSupervisedPretraining.evaluates_masks(dict(auxiliary_tasks=tasks))
    for tasks in (None, [ROTATION], 'PatchMatchingTask', 5, [None], ['NoSuchTask'], [{}]):
        assert not SelfSupervisedPretraining.evaluates_masks(dict(auxiliary_tasks=tasks))


@EVERY
def test_the_decode_head_stays_as_it_was_built(kind):
    model = model_of(kind)
    before = {key: value.clone() for key, value in model.students[0].state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for seed in range(2):
        losses = losses_of(model, toy_batch(seed=seed))
        optimizer.zero_grad()
        sum(value for key, value in losses.items() if 'loss' in key).backward()
        optimizer.step()
    moved = {
        key.partition('.')[0]
        for key, value in model.students[0].state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert moved == {'backbone'}


@EVERY
def test_layers_whose_maps_no_task_reads_have_a_gradient(kind):
    """Several processes wait for one of every parameter; that of those layers is 0."""
    neck = dict(type='FPN', in_channels=[8, 8], out_channels=8, num_outs=2)
    model = model_of(kind, segmentor=whole_segmentor(dict(neck=neck)))
    total_of(losses_of(model, toy_batch()), model).backward()
    trained = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, gradient in trained.items() if gradient is None] == []
    (unread,) = (key for key in trained if key.endswith('fpn_convs.0.conv.weight'))
    assert not trained[unread].any()


# ---- results on images


def results(model, batch=None):
    data = model.data_preprocessor(batch or toy_batch(2, 0), False)
    found = dict(model.eval().predict_each(data['inputs'], data['data_samples']))
    assert list(found) == ['student0', 'ensemble']
    return [sample.task_results for sample in found['student0']], data


def test_rotation_of_all_four_turns():
    """A classifier that always gives one turn is right for one of the four."""
    model = model_of(auxiliary_tasks=[ROTATION])
    classifier = model.auxiliary_tasks.of(0)[0].classifier
    with torch.no_grad():
        classifier.weight.zero_()
        classifier.bias.copy_(torch.tensor([0.0, 0.0, 5.0, 0.0]))
    for result in results(model)[0]:
        assert result['rotation']['score'] == 'accuracy'
        assert result['rotation']['right'].tolist() == [False, False, True, False]


def test_rotation_reads_the_centre_square():
    """Pixels beside it change nothing; ``crop_size`` makes it smaller."""
    model = model_of(auxiliary_tasks=[ROTATION])
    seen, features = [], model.students[0].extract_feat
    model.students[0].extract_feat = lambda image: seen.append(image) or features(image)
    images = torch.randint(0, 256, (1, 3, SIDE, SIDE + 16), dtype=torch.uint8)
    data = toy_batch(1, 0)
    data['inputs'] = list(images)
    data['data_samples'][0].set_metainfo(dict(img_shape=(SIDE, SIDE + 16)))
    _, ready = results(model, data)
    square = ready['inputs'][0, :, :, 8:-8]
    for turn, view in enumerate(seen[0]):
        assert torch.equal(view, torch.rot90(square, turn, (1, 2)))
    model.auxiliary_tasks.of(0)[0].crop_size = 16
    results(model, data)
    assert torch.equal(seen[1][0], ready['inputs'][0, :, 8:24, 16:32])


def test_crops_of_an_image_are_its_instances():
    model = model_of(auxiliary_tasks=[dict(type='ExemplarTask', views=3, embedding_dim=5)])
    batch = toy_batch(2, 0)
    for sample, name in zip(batch['data_samples'], ('a', 'b')):
        sample.set_metainfo(dict(img_path=f'{name}.png'))
    first, again = (results(model, batch)[0] for _ in range(2))
    for one, other in zip(first, again):
        embedding = one['exemplar']['embedding']
        assert embedding.shape == (3, 5) and 'label' not in one['exemplar']
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
        assert torch.equal(embedding, other['exemplar']['embedding'])


def test_patches_are_the_same_in_every_validation():
    """Their places follow from the name of the image, wherever it is in a batch."""
    model = model_of(MATCH)
    batch = toy_batch(2, 0)
    for sample, name in zip(batch['data_samples'], ('a', 'b')):
        sample.set_metainfo(dict(img_path=f'folder/{name}.png'))
    first, _ = results(model, batch)
    again, _ = results(model, batch)
    turned, _ = results(model, {key: value[::-1] for key, value in batch.items()})
    assert len(first[0]['patches']['label']) == 4
    for one, other, back in zip(first, again, turned[::-1]):
        for key in ('embedding', 'label'):
            assert torch.equal(one['patches'][key], other['patches'][key])
            torch.testing.assert_close(one['patches'][key], back['patches'][key])
    batch['data_samples'][0].set_metainfo(dict(img_path='folder/c.png'))
    moved, _ = results(model, batch)
    assert not torch.equal(moved[0]['patches']['embedding'], first[0]['patches']['embedding'])


def test_masks_of_validation_may_be_larger_than_the_images():
    """Pipelines load them at the size of the file; the samples stay as they are."""
    model, batch = model_of(MATCH), toy_batch(1, 0)
    usual, _ = results(model, toy_batch(1, 0))
    sample = batch['data_samples'][0]
    large = sample.gt_sem_seg.data.repeat_interleave(2, 1).repeat_interleave(2, 2)
    sample.gt_sem_seg = PixelData(data=large)
    found, _ = results(model, batch)
    assert torch.equal(found[0]['patches']['label'], usual[0]['patches']['label'])
    assert sample.gt_sem_seg.shape == (2 * SIDE, 2 * SIDE) and 'draw' in sample.metainfo


def test_padding_of_validation_has_no_class():
    """Images of one class give patches of that class, also where a batch pads one of them."""
    model, batch = model_of(MATCH), toy_batch(2, 0)
    for made in batch['data_samples']:
        made.gt_sem_seg.data.fill_(2)
    small = batch['data_samples'][0]
    small.gt_sem_seg = PixelData(data=small.gt_sem_seg.data[:, :8])
    small.set_metainfo(dict(img_shape=(8, SIDE), ori_shape=(8, SIDE)))
    images = torch.stack(batch['inputs']).float()
    for result in model.eval().task_results(images, batch['data_samples']):
        assert result['patches']['label'].tolist() == [2] * 4


@EVERY
def test_there_is_no_segmentation(kind):
    model = model_of(kind)
    data = model.data_preprocessor(toy_batch(1, 0), False)
    with pytest.raises(ValueError, match=f'{kind} learns features alone.*export_backbone'):
        model.predict(data['inputs'])
    (sample,) = model.eval().predict(data['inputs'], data['data_samples'])
    assert set(sample.task_results) == {task.name for task in model.tasks}
    assert 'pred_sem_seg' not in sample


def test_a_segmentor_without_auxiliary_heads_is_needed():
    head = whole_segmentor()['decode_head']
    text = refused(MATCH, segmentor=whole_segmentor(dict(auxiliary_head=head)))
    assert 'trains the backbone alone' in text


@pytest.mark.parametrize('name', ['RotationTask', 'PatchMatchingTask'])
def test_types_by_class_are_as_those_by_name(name):
    """Configs of Python have classes where files have names."""
    wanted = name == 'PatchMatchingTask'
    for kind in (SELF, registered_methods()[SELF]):
        for task in (name, registered_tasks()[name]):
            model = dict(type=kind, auxiliary_tasks=[dict(type=task)])
            assert reads_masks(dict(model=model)) is wanted
