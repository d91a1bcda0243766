# Copyright (c) mmseg_ctt contributors.
"""Patch matching beside a method: its patches, its terms, its state, and bad settings."""

import pytest
import torch
from mmengine.structures import PixelData
from no_sync import record
from toy import losses_of, of_channels, prepared, total_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.functional import class_graph, graph_triplets, triplet_loss
from mmseg_ctt.nn.images import Images

SMALL = dict(type='PatchMatchingTask', weight=1.0, num_patches=4, patch_size=16, pool=2)


def model_with(kind='S4L', **settings):
    return toy_model(kind, auxiliary_tasks=[dict(SMALL, **settings)])


def terms_of(model, batch=None):
    """Values of the task, by name."""
    losses = losses_of(model, batch or toy_batch())
    start = 'student0.'
    return {
        key[len(start) :]: value
        for key, value in losses.items()
        if key.startswith(start) and 'patches' in key
    }


def task_of(model):
    return model.auxiliary_tasks.of(0)[0]


def labeled(model, batch=None):
    data = prepared(model, batch)
    return Images(data['inputs']['labeled'], data['data_samples']['labeled'])


# ---- terms


def test_terms():
    terms = terms_of(model_with())
    assert set(terms) == {
        'loss_patches',
        'patches_accuracy',
        'patches_positive_distance',
        'patches_negative_distance',
        'patches_singletons',
        'patches_without_negative',
    }
    assert 0 <= terms['patches_accuracy'] <= 1 and terms['patches_without_negative'] == 0
    distances = terms['patches_positive_distance'], terms['patches_negative_distance']
    assert all(0 <= value <= 2 for value in distances)  # maps behind a ReLU
    want = (2.1 + distances[0] - distances[1]) / 2  # linear: every triplet is active
    torch.testing.assert_close(terms['loss_patches'], want, atol=1e-5, rtol=0)


def test_the_loss_is_that_of_the_graph():
    model = model_with(margin=0.4, embedding_dim=6)
    task, images = task_of(model), labeled(model)
    crops, label, noise = task.patches(images)
    assert crops.shape == (8, 3, 16, 16) and label.shape == (8,)
    _, deepest = model.students[0].extract_feat(crops)
    embedding = task.embed(deepest)
    assert embedding.shape == (8, 6 * 2 * 2)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(8))
    assert embedding.min() < 0  # a linear layer has both signs
    graph = class_graph(label, noise[:, 0], noise[:, 1:])
    want, _, _ = triplet_loss(*graph_triplets(embedding, graph), margin=0.4)
    torch.testing.assert_close(terms_of(model)['loss_patches'], want)


def test_the_weight_and_the_student():
    model = model_with(weight=0.5)
    half = terms_of(model)['loss_patches']
    torch.testing.assert_close(2 * half, terms_of(model_with())['loss_patches'])
    half.backward()
    student = model.students[0]
    assert student.backbone.stem.weight.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in student.decode_head.parameters())


def test_a_linear_layer_learns_and_is_saved():
    model = model_with(embedding_dim=6)
    total_of(losses_of(model, toy_batch()), model).backward()
    key = 'auxiliary_tasks.students.0.0.projection.weight'
    assert model.state_dict()[key].shape == (6, 8, 1, 1)
    assert task_of(model).projection.weight.grad.abs().sum() > 0
    assert not any('projection' in key for key in model.students[0].state_dict())
    assert not any('auxiliary_tasks' in key for key in model_with().state_dict())


def test_the_whole_map():
    model = model_with(pool=None)
    deepest = torch.rand(3, 8, 4, 5)
    assert task_of(model).embed(deepest).shape == (3, 160)
    assert torch.isfinite(terms_of(model)['loss_patches'])


def test_beside_methods_of_several_students():
    """Each student learns from the same patches."""
    losses = losses_of(model_with('CrossPseudoSupervision'), toy_batch())
    for i in range(2):
        assert losses[f'student{i}.loss_patches'] > 0
    assert losses['student0.patches_singletons'] == losses['student1.patches_singletons']


# ---- patches


def test_patches_follow_from_the_sample():
    """Not from the order of the batch, nor from earlier random numbers."""
    model = model_with()
    task = task_of(model)
    first = task.patches(labeled(model))
    torch.manual_seed(99)
    turned = task.patches(labeled(model, toy_batch(order=(1, 0, 2, 3))))
    for one, other in zip(first, turned):
        assert torch.equal(one, torch.cat(other.chunk(2)[::-1]))
    renamed = task_of(model_with(name='other'))
    assert not torch.equal(renamed.patches(labeled(model))[0], first[0])


def test_default_sides_are_those_of_the_release():
    model = model_with()
    task, images = task_of(model), labeled(model)
    assert task._sizes(images._replace(image=torch.zeros(1, 3, 512, 600))) == (64, 256)
    assert task._sizes(images) == (4, 16)
    for given, want in (
        (dict(min_size=10, max_size=12), (10, 12)),
        (dict(max_size=3), (2, 3)),
        (dict(min_size=20), (20, 20)),
    ):
        assert task_of(model_with(**given))._sizes(images) == want


def test_padding_is_never_a_centre():
    """Small images in a padded batch: their patches lie on them."""
    model = model_with(num_patches=20, max_size=4)
    batch = toy_batch()
    for i in range(2):
        batch['inputs'][i] = batch['inputs'][i][:, :12, :20]
        sample = batch['data_samples'][i]
        sample.gt_sem_seg = PixelData(data=sample.gt_sem_seg.data[:, :12, :20])
        sample.set_metainfo(dict(img_shape=(12, 20)))
    model.data_preprocessor.size = (32, 32)
    images = labeled(model, batch)
    assert images.valid() is not None
    crops, label, _ = task_of(model).patches(images)
    assert (label != 255).all()
    assert (crops.abs().amax((1, 2, 3)) > 0).all()


# ---- corners


def with_labels(change):
    batch = toy_batch()
    for sample in batch['data_samples'][:2]:
        change(sample.gt_sem_seg.data)
    return batch


@pytest.mark.parametrize('value,count', [(2, 8), (0, 8), (255, 0)])
def test_a_batch_of_one_class(value, count):
    model = model_with()
    losses = losses_of(model, with_labels(lambda label: label.fill_(value)))
    assert losses['student0.loss_patches'] == 0
    assert losses['student0.patches_without_negative'] == count
    losses['student0.loss_patches'].backward()
    gradient = model.students[0].backbone.stem.weight.grad
    assert torch.isfinite(gradient).all() and gradient.abs().sum() == 0


def test_one_image():
    """The nearest patch is one of the same image then."""
    terms = terms_of(model_with(num_patches=9), toy_batch(labeled=1, unlabeled=1))
    assert terms['loss_patches'] > 0 and 0 <= terms['patches_accuracy'] <= 1


def test_images_of_other_channels():
    model = toy_model(
        'S4L', segmentor=of_channels(toy_segmentor(), 5), auxiliary_tasks=[dict(SMALL)]
    )
    assert terms_of(model, toy_batch(channels=5))['loss_patches'] > 0


def test_half_precision():
    full = terms_of(model_with())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = terms_of(model_with())
    for key, value in half.items():
        assert value.dtype == torch.float32, key
        if key != 'patches_accuracy':
            torch.testing.assert_close(value, full[key], atol=0.02, rtol=0.05)


def test_no_host_synchronisation():
    model = model_with(embedding_dim=4)
    data = prepared(model, toy_batch())
    assert record(lambda: model(**data, mode='loss')) == []


def test_a_joint_pass_needs_views_of_the_size_of_the_images():
    joint = model_with(joint_forward=True, patch_size=32)
    assert terms_of(joint)['loss_patches'] > 0
    with pytest.raises(ValueError, match='PatchMatchingTask.joint_forward=True joins views'):
        terms_of(model_with(joint_forward=True))


# ---- settings


@pytest.mark.parametrize(
    'settings,error,message',
    [
        (dict(num_patches=0), ValueError, 'num_patches must be at least 1'),
        (dict(num_patches=1), ValueError, 'num_patches=1: one patch at least'),
        (dict(num_patches=2.5), TypeError, 'num_patches must be an integer'),
        (dict(min_size=7), ValueError, 'min_size=7 must be even'),
        (dict(min_size=8, max_size=6), ValueError, 'min_size=8 must be even and at most'),
        (dict(max_size=0), ValueError, 'max_size must be at least 2'),
        (dict(patch_size=0), ValueError, 'patch_size must be at least 1'),
        (dict(pool=0), ValueError, 'pool must be at least 1'),
        (dict(embedding_dim=0), ValueError, 'embedding_dim must be at least 1'),
        (dict(margin=-1), ValueError, 'margin must be at least 0'),
        (dict(margin='x'), TypeError, 'margin must be a number'),
        (dict(background=255), ValueError, 'background=255 is the label of pixels without a class'),
        (dict(background=-1), ValueError, 'background must be at least 0'),
        (dict(by_overlap='yes'), ValueError, 'by_overlap must be one of'),
        (dict(released_classes=True, background=None), ValueError, 'released_classes is of'),
        (dict(sources=['unlabeled']), ValueError, 'sources: the task reads masks'),
        (dict(side=3), ValueError, 'unknown settings'),
    ],
)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message) as raised:
        model_with(**settings)
    assert 'model.auxiliary_tasks' in str(raised.value) and 'PatchMatchingTask' in str(raised.value)


def test_patches_that_all_reach_out_of_the_images():
    with pytest.raises(ValueError, match=r'PatchMatchingTask.min_size=34 is larger than .* 32'):
        losses_of(model_with(min_size=34), toy_batch())
    losses_of(model_with(min_size=32), toy_batch())
