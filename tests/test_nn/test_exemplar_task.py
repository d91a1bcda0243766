# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import exemplar as reference
from toy import losses_of, of_channels, prepared, total_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.functional import hsv_noise
from mmseg_ctt.nn.augmentation.view import denormalize
from mmseg_ctt.nn.auxiliary_tasks import ExemplarTask, StudentPass
from mmseg_ctt.nn.auxiliary_tasks import exemplar as module
from mmseg_ctt.nn.images import Images

EXEMPLAR = dict(type='ExemplarTask', weight=1.0)


def model_of(kind='S4L', segmentor=None, **settings):
    return toy_model(kind, segmentor=segmentor, auxiliary_tasks=[dict(EXEMPLAR, **settings)])


def images_of(model, batch=None, size=None):
    model.data_preprocessor.size = size
    data = prepared(model, batch)
    return {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources
    }


def task_of(model):
    return model.auxiliary_tasks.of(0)[0]


def views_of(model, batch=None):
    return task_of(model).make_views(images_of(model, batch), model.data_preprocessor)


def terms_of(model, batch=None):
    """Terms, and the embeddings of the views."""
    images, task = images_of(model, batch), task_of(model)
    views = task.make_views(images, model.data_preprocessor)
    student = StudentPass(model.students[0], images, model.data_preprocessor)
    features = student.features(views.image)
    embedding = F.normalize(task.embedding(student.deepest(features).mean((2, 3))), dim=1)
    return task.view_terms(features, views, student), embedding.detach().double().numpy()


# ---- views


@pytest.mark.parametrize('channels', [4, 3])
def test_crops_of_an_image_are_next_to_one_another(channels):
    """Images of one value have crops of one value; noise of colours needs three channels."""
    segmentor = of_channels(toy_segmentor(), channels)
    model, batch = model_of(views=3, segmentor=segmentor), toy_batch(channels=channels)
    for i, image in enumerate(batch['inputs']):
        image.fill_(40 * (i + 1))
    views = views_of(model, batch)
    assert views.sizes == (6, 6) and views.image.shape == (12, channels, 32, 32)
    values, level = views.image.flatten(1), torch.arange(1.0, 5).repeat_interleave(3)
    if channels == 4:
        torch.testing.assert_close(values, ((40 * level - 110) / 50)[:, None].expand_as(values))
    else:
        assert len(values[:, 0].unique()) == 12


def test_the_size_of_the_views():
    batch = toy_batch()
    batch['inputs'] = [image[:, :24] for image in batch['inputs']]
    for made in batch['data_samples']:
        made.set_metainfo(dict(img_shape=(24, 32)))
        made.pop('gt_sem_seg', None)
    assert views_of(model_of(), batch).image.shape[2:] == (24, 24)
    assert views_of(model_of(view_size=40), batch).image.shape[2:] == (40, 40)


def test_colours_of_the_views_are_those_of_plain_images(monkeypatch):
    """Noise is of values in [0, 1], and views are normalised as the images are."""
    model = model_of(views=4)
    images, task, colours = images_of(model)['unlabeled'], task_of(model), model.data_preprocessor
    whole = torch.tensor([0.0, 0, 32, 32]).expand(2, 4, 4)
    monkeypatch.setattr(f'{module.__name__}.random_crop_boxes', lambda *_: whole)
    views = task.make_views({'unlabeled': images}, colours).image
    noise = task._noise(images)
    copies = denormalize(images.image, colours).repeat_interleave(4, 0)
    flip = (noise['flip'].flatten() < 0.5).view(-1, 1, 1, 1)
    want = hsv_noise(torch.where(flip, copies.flip(3), copies), noise['colours'].flatten(0, 1))
    assert flip.any() and not flip.all()
    torch.testing.assert_close(denormalize(views, colours), want, atol=1e-3, rtol=0)
    assert (want - copies).abs().mean() > 0.02


def test_padding_is_never_in_a_crop():
    batch = toy_batch()
    batch['inputs'][3] = batch['inputs'][3][:, :20]
    batch['data_samples'][3].set_metainfo(dict(img_shape=(20, 32), ori_shape=(20, 32)))
    model = model_of()
    images = images_of(model, batch, (32, 32))
    before = task_of(model).make_views(images, model.data_preprocessor)
    images['unlabeled'].image[1, :, 20:] = 1e6
    after = task_of(model).make_views(images, model.data_preprocessor)
    torch.testing.assert_close(before.image, after.image)


def test_views_belong_to_the_images():
    model = model_of(views=2)
    first = views_of(model).image.view(2, 2, 2, 3, 32, 32)
    second = views_of(model, toy_batch(order=[1, 0, 3, 2])).image.view_as(first)
    torch.testing.assert_close(first.flip(1), second)
    assert not torch.equal(first[:, :, 0], first[:, :, 1])


# ---- triplets


@pytest.mark.parametrize('released', [False, True])
def test_loss_equals_loops(released):
    """Mean of the sources, each with its own triplets."""
    model = model_of(views=3, embedding_dim=5, released_ids=released)
    terms, embedding = terms_of(model)
    ids = [0, 0, 1, 1, 2, 2] if released else [0, 0, 0, 1, 1, 1]
    parts = [reference.batch_hard(part, ids) for part in np.split(embedding, 2)]
    loss, accuracy, count = np.array(parts).T
    assert terms['exemplar'].item() == pytest.approx(loss.mean(), rel=1e-4)
    assert terms['exemplar_accuracy'].item() == pytest.approx(accuracy.mean(), rel=1e-4)
    assert terms['exemplar_triplets'] == count.sum() == 12


def test_released_ids_are_groups_of_consecutive_crops():
    """The release calls a function with its two numbers exchanged; equal where B = V."""
    task, released = ExemplarTask(views=8), ExemplarTask(views=8, released_ids=True)
    cpu = torch.device('cpu')
    assert task.ids(24, cpu).tolist() == [b for b in range(3) for _ in range(8)]
    assert released.ids(24, cpu).tolist() == [v for v in range(8) for _ in range(3)]
    assert torch.equal(task.ids(64, cpu), released.ids(64, cpu))


@pytest.mark.parametrize('images', [1, 2])
def test_a_source_of_one_image_has_no_triplets(images):
    """A zero in the mean of the sources, and its number in the log."""
    model = model_of(views=2)
    terms, embedding = terms_of(model, toy_batch(labeled=images, unlabeled=2))
    assert terms['exemplar_triplets'] == (4 if images == 1 else 8)
    if images == 1:
        loss, *_ = reference.batch_hard(embedding[2:], [0, 0, 1, 1])
        assert terms['exemplar'].item() == pytest.approx(loss / 2, rel=1e-4)


def test_without_any_triplet_it_is_zero():
    model = model_of(views=2)
    losses = losses_of(model, toy_batch(labeled=1, unlabeled=1))
    total_of(losses, model).backward()
    assert losses['student0.loss_exemplar'] == 0 == losses['student0.exemplar_triplets']
    assert losses['student0.exemplar_accuracy'] == 0
    assert not task_of(model).embedding.weight.grad.any()
    assert all(torch.isfinite(w.grad).all() for w in model.students.parameters())


def test_gradients_reach_the_student_and_the_embedding():
    model = model_of(weight=0.5)
    model.weights['sup'] = 0.0
    losses = losses_of(model, toy_batch())
    total_of(losses, model).backward()
    assert task_of(model).embedding.weight.grad.any()
    assert model.students[0].backbone.stem.weight.grad.any()
    assert not any('embedding' in key for key in model.students.state_dict())


def test_it_learns_to_tell_images_apart():
    model = model_of(views=4)
    model.weights['sup'] = 0.0
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    found = []
    for _ in range(25):
        losses = losses_of(model, toy_batch(4, 4))
        optimizer.zero_grad()
        total_of(losses, model).backward()
        optimizer.step()
        found.append(losses['student0.loss_exemplar'].item())
    assert found[-1] < found[0] - 0.1


def test_a_joint_pass():
    model = model_of(joint_forward=True)
    assert losses_of(model, toy_batch())['student0.loss_exemplar'] > 0


# ---- families


def test_half_precision():
    model = model_of()
    data = prepared(model)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(**data, mode='loss')
    exact = model(**data, mode='loss')
    assert losses['student0.loss_exemplar'].dtype == torch.float32
    torch.testing.assert_close(
        losses['student0.loss_exemplar'], exact['student0.loss_exemplar'], rtol=0.05, atol=0.02
    )


def test_nothing_waits_for_the_device():
    model = model_of()
    data = prepared(model)
    assert record(lambda: model(**data, mode='loss')) == []


# ---- settings


@pytest.mark.parametrize(
    'setting,error,words',
    [
        (dict(views=1), ValueError, 'ExemplarTask.views must be in [2, 8]'),
        (dict(views=9), ValueError, 'ExemplarTask.views must be in [2, 8]'),
        (dict(views=2.5), TypeError, 'ExemplarTask.views must be an integer'),
        (dict(view_size=0), ValueError, 'ExemplarTask.view_size must be at least 1'),
        (dict(embedding_dim=0), ValueError, 'ExemplarTask.embedding_dim must be at least 1'),
        (dict(area=(0.5, 1.5)), ValueError, 'ExemplarTask.area='),
        (dict(area=(0, 1)), ValueError, 'ExemplarTask.area='),
        (dict(aspect=(2, 1)), ValueError, 'ExemplarTask.aspect='),
        (dict(aspect=1), TypeError, 'ExemplarTask.aspect must be two numbers'),
        (dict(released_ids=1.5), ValueError, 'ExemplarTask.released_ids must be one of'),
        (dict(sources=['tagged']), ValueError, 'ExemplarTask.sources: the method has no images'),
    ],
)
def test_wrong_settings(setting, error, words):
    with pytest.raises(error) as caught:
        model_of(**setting)
    assert str(caught.value).startswith(f'model.auxiliary_tasks: {words}')
